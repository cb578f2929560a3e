//! Pipelines: the bytes go from child to child, every status is kept, and no end of a pipe is left.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, path::Path, time::Duration};

use actix_process::{
    Command, ErrorTo, ExitStatus, Fact, Fault, OutputTo, Pipeline, Policy, PolicyHandle,
    PolicyStopped, ProcessGroup, SpawnPipeline, SpawnStep, Start, Stdin, asyncio::FastWatcher,
    inject,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{
    children, open_descriptors, run, run_with_both_launches, run_with_policy, until, within,
};

const SIGPIPE: ExitStatus = ExitStatus::Signaled { signal: 13, core_dumped: false };

async fn statuses(policy: &PolicyHandle, pipeline: Pipeline) -> Vec<ExitStatus> {
    let running = policy.spawn_pipeline(pipeline).await.unwrap();
    let exits = within(running.wait()).await.unwrap();
    assert!(exits.iter().map(|exit| exit.child).eq(running.children().iter().map(|it| it.id())));
    exits.iter().map(|exit| exit.status).collect()
}

#[test]
fn a_writer_whose_reader_has_enough_ends_by_sigpipe() {
    run_with_both_launches(async |policy| {
        for _ in 0..20 {
            let pipeline = Command::new("yes").pipe_to(Command::new("head").args(["-n", "1"]));
            let running = policy.spawn_pipeline(pipeline).await.unwrap();
            let exits = within(running.wait()).await.unwrap();
            assert_eq!(exits[0].status, SIGPIPE);
            assert_eq!(exits[1].status, ExitStatus::Code(0));
            assert_eq!((exits[0].output_bytes, exits[1].output_bytes), (0, 2));
            assert_eq!(running.children()[0].program(), "yes");
            assert_eq!(running.last().program(), "head");
        }
    });
}

#[test]
fn a_reader_sees_the_end_and_all_that_came_before_it() {
    run_with_both_launches(async |policy| {
        let mut log = policy.log(Start::Now);
        let pipeline = Command::shell("head -c 10000000 /dev/zero; exit 3")
            .pipe_to(Command::shell("tr '\\0' x; exit 4"))
            .pipe_to(Command::new("cat"))
            .pipe_to(Command::new("wc").arg("-c"));
        let running = policy.spawn_pipeline(pipeline).await.unwrap();
        let output = within(running.last().output()).await.unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"10000000");
        let exits = within(running.wait()).await.unwrap();
        assert!(exits.iter().map(|exit| exit.status.returncode()).eq([3, 4, 0, 0]));
        // Nothing of it came through here but what the last one wrote.
        while let Some(batch) = log.try_next() {
            for entry in batch.entries() {
                if let Fact::Chunk(_) = entry.fact {
                    assert_eq!(entry.child, running.last().id());
                }
            }
        }
    });
}

#[test]
fn the_outer_streams_are_what_the_commands_say_and_the_inner_ones_are_not() {
    run_with_policy(async |policy| {
        // What is said of the inner streams does not count.
        let shared = policy.shared_output().await.unwrap();
        let first = Command::shell("cat; echo lost >&2")
            .stdin(Stdin::Piped)
            .stdout(OutputTo::Shared(shared))
            .stderr(OutputTo::Log);
        let second = Command::shell("cat; echo joined >&2")
            .stdin(Stdin::Bytes("not this".into()))
            .stdout(OutputTo::Inherit)
            .stderr(ErrorTo::WithStdout);
        let third = Command::new("cat").stdin(Stdin::Piped);
        let running = policy.spawn_pipeline(first.pipe_to(second).pipe_to(third)).await.unwrap();
        let [first, second, third] = running.children() else { panic!("three children") };
        assert!(second.stdin().is_none() && third.stdin().is_none());
        let stdin = first.stdin().unwrap();
        stdin.write("through\n").unwrap();
        stdin.write_eof().unwrap();
        let output = within(third.output()).await.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "through\njoined\n");
        let output = within(first.output()).await.unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b""[..], &b"lost\n"[..]));
        let output = within(second.output()).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
    });
}

/// A program that tells by a file that it runs, and then only ends when it is killed.
fn endless(mark: &Path) -> Command {
    Command::shell(format!("echo $$ > {}; sleep 1000", mark.display()))
        .process_group(ProcessGroup::Own)
}

#[test]
fn where_one_cannot_be_spawned_those_before_it_are_killed_and_reaped() {
    run_with_both_launches(async |policy| {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let before = (open_descriptors(), children());
        let mut log = policy.log(Start::Now);
        for _ in 0..20 {
            let pipeline = Command::new("yes")
                .pipe_to(endless(&mark))
                .pipe_to(Command::new("/no/such/program"))
                .pipe_to(Command::new("cat"));
            let error = policy.spawn_pipeline(pipeline).await.unwrap_err();
            assert_eq!(
                (error.program.as_str(), error.step, error.source.raw_os_error()),
                ("/no/such/program", SpawnStep::Execute, Some(libc::ENOENT)),
                "{error}"
            );
            assert_eq!((open_descriptors(), children()), before);
        }
        assert!(log.try_next().is_none(), "the log heard of a pipeline that never was");
        inject(Fault::SpawnUnwatched, 1);
        let pipeline = Command::new("yes").pipe_to(Command::new("cat"));
        let error = policy.spawn_pipeline(pipeline.clone()).await.unwrap_err();
        assert_eq!((error.program.as_str(), error.step), ("yes", SpawnStep::Watch));
        // What no kernel could take is found before anything runs.
        let pipeline = endless(&mark).pipe_to(Command::new("true").arg("a\0b"));
        fs::remove_file(&mark).unwrap_or_default();
        let error = policy.spawn_pipeline(pipeline).await.unwrap_err();
        assert_eq!((error.program.as_str(), error.step), ("true", SpawnStep::CheckCommand));
        assert!(!mark.exists());
        assert_eq!((open_descriptors(), children()), before);
    });
}

#[test]
fn the_groups_of_those_before_it_are_killed_too() {
    run_with_policy(async |policy| {
        let dir = tempfile::tempdir().unwrap();
        let (mark, busy) = (dir.path().join("mark"), dir.path().join("busy"));
        // A program that is open for writing is tried again for a while before the spawn fails.
        fs::copy("/bin/true", &busy).unwrap();
        let writer = fs::File::options().append(true).open(&busy).unwrap();
        let leader = loop {
            let pipeline = endless(&mark).pipe_to(Command::new(&busy));
            let error = policy.spawn_pipeline(pipeline).await.unwrap_err();
            assert_eq!(error.source.raw_os_error(), Some(libc::ETXTBSY), "{error}");
            // Where the machine is slow, it was killed before it said who it is.
            if let Ok(pid) = fs::read_to_string(&mark)
                && let Ok(pid) = pid.trim().parse::<i32>()
            {
                break pid;
            }
        };
        drop(writer);
        let group = nix::unistd::Pid::from_raw(leader);
        until("the group is gone", || nix::sys::signal::killpg(group, None).is_err()).await;
    });
}

#[test]
fn where_descriptors_run_out_nothing_is_left_either() {
    run_with_both_launches(async |policy| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let (mut failed, mut spawned) = (0, 0);
        for spare in 0..24 {
            let before = (open_descriptors(), children());
            // Descriptors are given out from the lowest free number.
            let lowest = std::io::pipe()
                .map(|(reader, _)| std::os::fd::AsRawFd::as_raw_fd(&reader))
                .unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, lowest as u64 + spare, hard).unwrap();
            let quiet = |program| Command::new(program).stderr(OutputTo::Null);
            let pipeline = quiet("true").pipe_to(quiet("cat")).pipe_to(quiet("cat"));
            let running = policy.spawn_pipeline(pipeline).await;
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            match running {
                Ok(running) => {
                    spawned += 1;
                    let exits = within(running.wait()).await.unwrap();
                    assert!(exits.iter().all(|exit| exit.status.success()));
                    break;
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(
                        (error.step, error.source.raw_os_error()),
                        (SpawnStep::ReserveDescriptors, Some(libc::EMFILE)),
                        "{error}"
                    );
                    assert_eq!((open_descriptors(), children()), before);
                }
            }
        }
        assert!(failed > 5 && spawned > 0, "{failed} failed, {spawned} spawned");
    });
}

#[test]
fn every_status_is_kept_under_a_watcher_that_reaps_whatever_has_ended() {
    run(async || {
        let watcher = std::sync::Arc::new(FastWatcher::new());
        let event_loop = actix_process::asyncio::EventLoop::current();
        actix_process::asyncio::ChildWatcher::attach_loop(&*watcher, event_loop).unwrap();
        let policy = Policy::builder().child_watcher(watcher.clone()).start().unwrap();
        for _ in 0..20 {
            let pipeline = Command::shell("exit 1")
                .pipe_to(Command::shell("exit 2"))
                .pipe_to(Command::shell("exit 3"));
            let codes = [1, 2, 3].map(ExitStatus::Code);
            assert_eq!(statuses(&policy, pipeline).await, codes);
            let broken = Command::new("yes").pipe_to(Command::new("/no/such/program"));
            let error = policy.spawn_pipeline(broken).await.unwrap_err();
            assert_eq!(error.step, SpawnStep::Execute);
        }
        policy.shutdown(Duration::ZERO).await;
        actix_process::asyncio::ChildWatcher::close(&*watcher);
    });
}

#[test]
fn a_policy_that_ends_takes_its_pipelines_along_and_refuses_more() {
    run(async || {
        let policy = Policy::start().unwrap();
        let pipeline = Command::new("yes").pipe_to(Command::shell("exec sleep 1000"));
        // The message is the API; the handle's method is sugar.
        let running = policy.addr().send(SpawnPipeline(pipeline.clone())).await.unwrap().unwrap();
        policy.shutdown(Duration::ZERO).await;
        let exits = within(running.wait()).await.unwrap();
        assert!(exits.iter().all(|exit| !exit.status.success()));
        let error = policy.spawn_pipeline(pipeline).await.unwrap_err();
        assert_eq!((error.program.as_str(), error.step), ("yes", SpawnStep::Intake));
        assert_eq!(error.source.to_string(), PolicyStopped::Shutdown.to_string());
    });
}
