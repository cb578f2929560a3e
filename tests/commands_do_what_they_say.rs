//! Every setting of a command, seen from inside the child.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::io;

use actix_process::{Command, ErrorTo, OutputTo, PolicyHandle, ProcessGroup, Stdin};
use nix::{
    sys::{
        resource::{Resource, getrlimit},
        signal::{SigSet, Signal},
    },
    unistd::{close, dup, dup2_stdin},
};
use support::{run_with_both_launches, run_with_policy};

async fn stdout(policy: &PolicyHandle, command: Command) -> String {
    let output = policy.spawn(command).await.unwrap().output().await.unwrap();
    assert!(output.exit.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn arguments_environment_directory_and_name() {
    run_with_both_launches(async |policy| {
        let args = Command::new("printf").args(["%s|", "a b", "", "$c"]);
        assert_eq!(stdout(policy, args).await, "a b||$c|");
        let set =
            Command::shell("echo $ONE $TWO").env("ONE", "1").env("TWO", "2").env_remove("TWO");
        assert_eq!(stdout(policy, set).await, "1\n");
        let clear = Command::new("/usr/bin/env").env("GONE", "1").env_clear().env("ONLY", "this");
        assert_eq!(stdout(policy, clear).await, "ONLY=this\n");
        assert_eq!(stdout(policy, Command::new("pwd").current_dir("/usr")).await, "/usr\n");
        assert_eq!(
            stdout(policy, Command::new("./env").current_dir("/usr/bin").env_clear().env("A", "b"))
                .await,
            "A=b\n"
        );
        let named = Command::new("cat").arg("/proc/self/cmdline").arg0("another name");
        assert_eq!(stdout(policy, named).await, "another name\0/proc/self/cmdline\0");
        let searched =
            Command::new("cat").arg("/proc/self/cmdline").env("PATH", "/nowhere:/usr/bin:/bin");
        assert_eq!(stdout(policy, searched).await, "cat\0/proc/self/cmdline\0");
    });
}

fn program(path: &std::path::Path, content: &str) {
    std::fs::write(path, content).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}

/// As `execvp` does: a file that the kernel cannot execute is a script of the shell's.
#[test]
fn a_script_without_an_interpreter_runs_in_the_shell() {
    run_with_both_launches(async |policy| {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        program(&script, "printf '%s|' \"$0\" \"$@\"");
        let path = script.display();
        let said = stdout(policy, Command::new(&script).args(["a b", ""])).await;
        assert_eq!(said, format!("{path}|a b||"));
        let named = Command::new("script").env("PATH", directory.path()).arg0("other").arg("a");
        assert_eq!(stdout(policy, named).await, format!("{path}|a|"));
        program(&directory.path().join("empty"), "");
        assert_eq!(stdout(policy, Command::new(directory.path().join("empty"))).await, "");
    });
}

#[test]
fn a_relative_entry_of_the_path_is_looked_up_in_the_childs_directory() {
    run_with_both_launches(async |policy| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("tools")).unwrap();
        program(&directory.path().join("tools/tool"), "#!/bin/sh\necho found");
        for path in ["tools", "/nowhere:tools", "./tools:/bin"] {
            let tool = Command::new("tool").env("PATH", path).current_dir(directory.path());
            assert_eq!(stdout(policy, tool).await, "found\n");
        }
        // An empty entry is that directory itself.
        program(&directory.path().join("here"), "#!/bin/sh\necho here");
        let here = Command::new("here").env("PATH", ":/bin").current_dir(directory.path());
        assert_eq!(stdout(policy, here).await, "here\n");
    });
}

#[test]
fn standard_input() {
    run_with_both_launches(async |policy| {
        assert_eq!(stdout(policy, Command::new("cat")).await, "");
        let large = vec![b'x'; 3 * 1024 * 1024];
        let fed = Command::new("wc").arg("-c").stdin(Stdin::Bytes(large.into()));
        assert_eq!(stdout(policy, fed).await.trim(), "3145728");
        let unread = Command::new("true").stdin(Stdin::Bytes(vec![0; 1024 * 1024].into()));
        assert_eq!(stdout(policy, unread).await, "");
    });
}

#[test]
fn outputs_apart_together_and_away() {
    run_with_both_launches(async |policy| {
        let both = Command::shell("printf out; printf err >&2; printf more");
        let run = async |command: Command| {
            let output = policy.spawn(command).await.unwrap().output().await.unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (text(output.stdout), text(output.stderr))
        };
        let pair = |out: &str, err: &str| (out.to_owned(), err.to_owned());
        assert_eq!(run(both.clone()).await, pair("outmore", "err"));
        assert_eq!(run(both.clone().stderr(ErrorTo::WithStdout)).await, pair("outerrmore", ""));
        assert_eq!(run(both.clone().stderr(OutputTo::Null)).await, pair("outmore", ""));
        assert_eq!(run(both.clone().stdout(OutputTo::Null)).await, pair("", "err"));
        assert_eq!(
            run(both.stdout(OutputTo::Null).stderr(ErrorTo::WithStdout)).await,
            pair("", "")
        );
    });
}

#[test]
fn process_groups() {
    run_with_both_launches(async |policy| {
        let group = async |command: Command| -> i32 {
            let stat = stdout(policy, command).await;
            stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().parse().unwrap()
        };
        let stat = || Command::new("cat").arg("/proc/self/stat");
        let ours = nix::unistd::getpgrp().as_raw();
        assert_eq!(group(stat()).await, ours);
        assert_ne!(group(stat().process_group(ProcessGroup::Own)).await, ours);
        assert_eq!(group(stat().process_group(ProcessGroup::Join(ours))).await, ours);
    });
}

#[test]
fn a_file_that_is_still_being_written_is_retried() {
    run_with_both_launches(async |policy| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fresh");
        std::fs::copy("/bin/true", &path).unwrap();
        let writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let spawn = policy.spawn(Command::new(&path));
        let close = async {
            actix::clock::sleep(std::time::Duration::from_millis(10)).await;
            drop(writer);
        };
        let (child, ()) = futures::join!(spawn, close);
        assert!(child.unwrap().wait().await.unwrap().status.success());
    });
}

#[test]
fn signals_are_at_their_defaults() {
    // The library's threads inherit the mask of the one that starts them.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR1);
    blocked.thread_block().unwrap();
    run_with_policy(async |policy| {
        let status = stdout(policy, Command::new("cat").arg("/proc/self/status")).await;
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let sigpipe = 1 << (Signal::SIGPIPE as u64 - 1);
        assert_eq!((mask("SigBlk:"), mask("SigCgt:"), mask("SigIgn:") & sigpipe), (0, 0, 0));
    });
    blocked.thread_unblock().unwrap();
}

#[test]
fn a_parent_without_standard_input_has_children_with_it() {
    run_with_both_launches(async |policy| {
        let kept = dup(io::stdin()).unwrap();
        close(0).unwrap();
        // The child's input is made first, and gets the free number.
        let fed = stdout(policy, Command::new("cat").stdin(Stdin::Bytes("in".into()))).await;
        dup2_stdin(kept).unwrap();
        assert_eq!(fed, "in");
    });
}

/// Nothing that is in the way can be moved above it.
#[test]
fn an_extra_descriptor_may_have_the_highest_number_that_there_can_be() {
    run_with_both_launches(async |policy| {
        let (_, highest) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let highest = i32::try_from(highest).unwrap() - 1;
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        let command = Command::shell(format!("cat /proc/self/fd/{highest}"));
        let said = stdout(policy, command.descriptor(highest, file)).await;
        assert_eq!(said, "commands_do_wha\n");
    });
}

#[test]
fn extra_descriptors_have_their_numbers_and_a_logged_one_its_stream() {
    run_with_policy(async |policy| {
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        let line = "cat <&7; echo said >&4";
        let command = Command::shell(line).log_descriptor(4).descriptor(7, file);
        let mut log = policy.log(actix_process::Start::Now);
        let child = policy.spawn(command).await.unwrap();
        let output = child.output().await.unwrap();
        assert!(output.exit.status.success());
        assert!(output.stdout.starts_with(b"commands_do_wha"), "the file's content");
        let mut said = Vec::new();
        while let Some(batch) = log.try_next() {
            for entry in batch.entries() {
                if let actix_process::Fact::Chunk(chunk) = &entry.fact
                    && chunk.stream == actix_process::Source::Extra(4)
                {
                    said.extend_from_slice(&chunk.bytes);
                }
            }
        }
        assert_eq!(said, b"said\n");
        for (number, other) in [(2, 5), (-1, 5), (5, 5)] {
            let command = Command::new("true").log_descriptor(other).log_descriptor(number);
            let refused = policy.spawn(command).await.unwrap_err();
            assert_eq!(refused.step, actix_process::SpawnStep::CheckCommand, "{refused}");
        }
    });
}
