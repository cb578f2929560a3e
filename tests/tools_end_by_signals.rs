//! The tools hear signals at every moment, end their children, and die by the signal.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use support::tool::{Running, command, mark, path, runs, signal_of, text, until};

/// Well below the grace of five seconds.
const SOON: Duration = Duration::from_secs(4);
/// The grace and one second.
const GRACE: Duration = Duration::from_secs(6);

fn procfile(directory: &tempfile::TempDir, content: &str) -> std::path::PathBuf {
    let path = directory.path().join("Procfile");
    fs::write(&path, content).unwrap();
    path
}

/// The tool says so when it has heard the first signal.
fn until_heard(tool: &mut Running) {
    let mut said = [0; 8];
    std::io::Read::read_exact(tool.0.stderr.as_mut().unwrap(), &mut said).unwrap();
}

#[test]
fn each_signal_ends_the_children_and_then_the_tool() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        use Signal::{SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGTERM};
        use Signal::{SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
        for signal in [
            SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGIO, SIGPROF, SIGPWR, SIGUSR1, SIGUSR2,
            SIGVTALRM, SIGXCPU,
        ] {
            let mark = mark(signal.as_str());
            let line = format!("echo ready; sleep 1000 & sleep 1000; : {mark}");
            let file = procfile(&directory, &format!("web: {line}\n"));
            for mut tool in [command("merge", [&line]), command("procfile", [&file])] {
                let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::null()));
                tool.until_printed("ready");
                tool.signal(signal);
                let status = tool.ended_within(SOON);
                assert_eq!(signal_of(status), Some(signal as i32), "{status}");
                assert!(!runs(&mark), "a child runs on after {signal}");
            }
        }
    });
}

/// A group or a session of its own, a parent that has ended: what a child has started is ended, too.
#[test]
fn what_is_out_of_reach_of_the_childs_group_is_ended_too() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        let ended = |line: &str, mark: &str, signals: &[Signal]| {
            let file = procfile(&directory, &format!("web: {line}\n"));
            for mut tool in
                [command("merge", [OsStr::new(line)]), command("procfile", [file.as_os_str()])]
            {
                let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
                tool.until_printed("| ready");
                for signal in signals {
                    tool.signal(*signal);
                    until_heard(&mut tool);
                }
                tool.ended_within(SOON);
                assert!(!runs(mark), "{line}");
            }
        };
        for start in [
            "timeout 1000 RUN; true",
            "setsid -w RUN; true",
            "(setsid RUN &); sleep 1000",
            "setsid RUN & wait",
        ] {
            let mark = mark("stray");
            let term = start.replace("RUN", &format!("sh -c 'echo ready; sleep 1000; : {mark}'"));
            ended(&term, &mark, &[Signal::SIGTERM]);
        }
        // At the tool's own end, and one that does not heed TERM at a second signal.
        let mark = mark("orphan");
        let fifo = directory.path().join("fifo").display().to_string();
        let line = format!(
            "mkfifo {fifo}$$; setsid sh -c \"echo ready; echo >{fifo}$$; sleep 1000; : {mark}\" & read it <{fifo}$$"
        );
        ended(&line, &mark, &[]);
        let deaf = format!(
            "setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.01; done; : {mark}' & wait"
        );
        ended(&deaf, &mark, &[Signal::SIGTERM, Signal::SIGINT]);
    });
}

/// The tool is the parent of its orphans.
#[test]
fn orphans_that_end_are_no_zombies_for_ever() {
    support::run_in(|| {
        let line = "(setsid sh -c 'echo orphan $$.' &); exec sleep 1000";
        let mut tool = command("merge", [line]);
        let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::null()));
        let said = tool.until_printed(".");
        let orphan = said.rsplit(' ').next().unwrap().trim_end_matches('.').parse().unwrap();
        until("the orphan is reaped", || !support::exists(orphan));
        tool.signal(Signal::SIGTERM);
        tool.ended_within(SOON);
    });
}

#[test]
fn one_whose_output_is_not_read_ends_too() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        let file = procfile(&directory, "web: yes\n");
        for mut tool in [command("merge", ["yes"]), command("procfile", [&file])] {
            let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
            tool.until_printed("| y");
            // Both of its pipes are full, or will be.
            tool.signal(Signal::SIGTERM);
            let status = tool.ended_within(GRACE + Duration::from_millis(500));
            assert_eq!(signal_of(status), Some(libc::SIGTERM), "{status}");
        }
    });
}

#[test]
fn one_whose_output_is_not_read_ends_at_once_at_a_second_signal() {
    support::run_in(|| {
        let mut tool = command("merge", ["yes", "trap '' TERM; while :; do sleep 0.1; done"]);
        let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
        tool.until_printed("| y");
        tool.signal(Signal::SIGTERM);
        until_heard(&mut tool);
        tool.signal(Signal::SIGINT);
        let status = tool.ended_within(Duration::from_secs(2));
        // The first one counts.
        assert_eq!(signal_of(status), Some(libc::SIGTERM), "{status}");
    });
}

/// `merge yes >/dev/null` reads and writes all the time.
#[test]
fn a_flood_does_not_deafen_it() {
    support::run_in(|| {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut tool = command("merge", ["yes", "echo ready >&2; exec yes"]);
            let mut tool = Running::start(tool.stdout(Stdio::null()).stderr(Stdio::null()));
            until("it floods", || {
                let io =
                    fs::read_to_string(format!("/proc/{}/io", tool.0.id())).unwrap_or_default();
                let written = io.lines().find_map(|line| line.strip_prefix("wchar: "));
                written.is_some_and(|it| it.parse::<u64>().unwrap() > 1_000_000)
            });
            tool.signal(signal);
            // What was written before is still printed, for no longer than the grace.
            let status = tool.ended_within(GRACE);
            assert_eq!(signal_of(status), Some(signal as i32), "{status}");
        }
    });
}

#[test]
fn a_second_signal_shortens_the_grace_to_nothing() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        let line = "trap '' TERM INT; echo ready; while :; do sleep 1; done";
        let file = procfile(&directory, &format!("web: {line}\n"));
        for (first, second) in
            [(Signal::SIGTERM, Signal::SIGINT), (Signal::SIGINT, Signal::SIGTERM)]
        {
            for mut tool in
                [command("merge", [line]), command("procfile", [file.to_str().unwrap()])]
            {
                let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
                tool.until_printed("ready");
                let begin = Instant::now();
                tool.signal(first);
                until_heard(&mut tool);
                assert!(tool.0.try_wait().unwrap().is_none(), "the child ignores the signal");
                tool.signal(second);
                let status = tool.ended_within(SOON);
                assert_eq!(signal_of(status), Some(first as i32), "{status}");
                assert!(begin.elapsed() < SOON);
            }
        }
    });
}

/// The kernel and the shell both tell of a terminal that is closed; someone who hurries comes later.
#[test]
fn a_hangup_that_is_told_twice_is_one_and_a_later_one_hurries() {
    support::run_in(|| {
        let mut tool = command("merge", ["trap '' TERM; echo ready; while :; do sleep 1; done"]);
        let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
        tool.until_printed("ready");
        tool.signal(Signal::SIGHUP);
        tool.signal(Signal::SIGHUP);
        until_heard(&mut tool);
        // The child's end would end the tool within this time.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(1) {
            assert!(tool.0.try_wait().unwrap().is_none(), "the second one hurried");
            std::thread::sleep(Duration::from_millis(10));
        }
        tool.signal(Signal::SIGHUP);
        let status = tool.ended_within(Duration::from_secs(2));
        assert_eq!(signal_of(status), Some(libc::SIGHUP), "{status}");
    });
}

/// However little of the tool is there: an error of the start that the signal has led to is not told.
#[test]
fn a_signal_during_the_start_ends_it_quietly() {
    support::run_in(|| {
        for delay in (0..100).map(|step| Duration::from_micros(step * 100)) {
            let mut tool = command("merge", ["exec sleep 1000"]);
            let mut tool = Running::start(tool.stdout(Stdio::null()).stderr(Stdio::piped()));
            until("it is the tool", || {
                let line = fs::read(format!("/proc/{}/cmdline", tool.0.id())).unwrap_or_default();
                line.split(|byte| *byte == 0).next().is_some_and(|it| it.ends_with(b"merge"))
            });
            let begin = Instant::now();
            while begin.elapsed() < delay {
                std::hint::spin_loop();
            }
            tool.signal(Signal::SIGTERM);
            let status = tool.ended_within(SOON);
            let said = std::io::read_to_string(tool.0.stderr.take().unwrap()).unwrap();
            assert_eq!(signal_of(status), Some(libc::SIGTERM), "{status} {delay:?}: {said}");
            assert!(said.is_empty() || said == "merge: ending every child\n", "{said}");
        }
    });
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        let line = "echo ready; exec sleep 1000";
        let file = procfile(&directory, &format!("web: {line}\n"));
        for (name, argument) in [("merge", line), ("procfile", file.to_str().unwrap())] {
            let mut nohup = Command::new("/bin/sh");
            nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$1\""]).arg(path(name)).arg(argument);
            nohup.process_group(0).stdin(Stdio::null());
            let mut tool = Running::start(nohup.stdout(Stdio::piped()).stderr(Stdio::null()));
            tool.until_printed("ready");
            tool.signal(Signal::SIGHUP);
            // Had it been heard, it would be what ends the tool.
            tool.signal(Signal::SIGTERM);
            let status = tool.ended_within(SOON);
            assert_eq!(signal_of(status), Some(libc::SIGTERM), "{status}");
        }
    });
}

/// The shell sees that a signal ended the tool, and ends its loop.
#[test]
fn a_shell_loop_around_it_ends() {
    support::run_in(|| {
        let line = "for i in 1 2 3; do \"$0\" 'echo ready; exec sleep 1000'; done; echo went on";
        let mut shell = Command::new("/bin/bash");
        shell.args(["-c", line]).arg(path("merge")).process_group(0).stdin(Stdio::null());
        let mut shell = Running::start(shell.stdout(Stdio::piped()).stderr(Stdio::null()));
        shell.until_printed("ready");
        // As the terminal does: to the whole group.
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(shell.0.id() as i32), Signal::SIGINT)
            .unwrap();
        let status = shell.ended_within(SOON);
        assert_eq!(signal_of(status), Some(libc::SIGINT), "{status}");
    });
}

/// A set-id helper that becomes another user altogether may not be signalled.
#[test]
fn what_survives_the_end_is_named() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root can make a set-id program: not tried");
        return;
    }
    support::run_in(|| {
        let mode = |mode| fs::Permissions::from_mode(mode);
        let directory = tempfile::Builder::new().permissions(mode(0o755)).tempdir().unwrap();
        let helper = directory.path().join("helper");
        fs::copy("/usr/bin/setpriv", &helper).unwrap();
        fs::set_permissions(&helper, mode(0o4755)).unwrap();
        let tool = directory.path().join("merge");
        fs::copy(path("merge"), &tool).unwrap();
        // It holds up nothing else.
        let mark = mark("beside");
        let line = format!(
            "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done; : {mark}' & \
             echo ready; exec {} --reuid 0 --regid 0 --clear-groups sleep 1000",
            helper.display()
        );
        let mut merge = Command::new(&tool);
        merge.arg(&line).uid(65_530).gid(65_530).process_group(0).current_dir("/");
        merge.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut merge = Running::start(&mut merge);
        merge.until_printed("ready");
        let group = || {
            let mut groups = Vec::new();
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                if text(&line).starts_with("sleep\0") {
                    let owner = std::os::unix::fs::MetadataExt::uid(&entry.metadata().unwrap());
                    let parent = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                    let id = format!(" {} ", merge.0.id());
                    if owner == 0 && parent.contains(&id) {
                        groups.push(entry.file_name().to_string_lossy().into_owned());
                    }
                }
            }
            groups
        };
        let mut survivor = Vec::new();
        until("the helper has become root", || {
            survivor = group();
            survivor.len() == 1
        });
        merge.signal(Signal::SIGTERM);
        until_heard(&mut merge);
        merge.signal(Signal::SIGINT);
        let out = merge.0.stdout.take().unwrap();
        let status = merge.ended_within(Duration::from_secs(15));
        let said = std::io::read_to_string(out).unwrap();
        let last = said.lines().last().unwrap().to_owned();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(survivor[0].parse().unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
        assert!(last.contains(&format!("sleep (pid {})", survivor[0])), "{said}");
        assert!(!runs(&mark), "{said}");
        assert_eq!(signal_of(status), Some(libc::SIGTERM), "{status}");
    });
}
