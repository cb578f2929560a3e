//! The library's threads take no signal of the host's, and children start with clean ones.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, os::unix::process::CommandExt, time::Duration};

use actix_process::{
    Command, Fact, Overflow, Policy,
    asyncio::{ChildWatcher, EventLoop, ExitHandler, MultiLoopWatcher, ThreadedWatcher},
};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
};
use support::{again, run_with_both_launches, within};

/// The mask of a status line of `/proc`.
fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim().trim_start_matches(':').trim(), 16).unwrap()
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u64 - 1)
}

fn dispose(signal: Signal, handler: SigHandler) -> SigAction {
    // SAFETY: no handler but the default or none; each test sets back what was before.
    unsafe { sigaction(signal, &SigAction::new(handler, SaFlags::empty(), SigSet::empty())) }
        .unwrap()
}

#[test]
fn none_of_them_takes_one() {
    support::run(async || {
        let spill = tempfile::tempdir().unwrap();
        let policy = Policy::builder().overflow(Overflow::Spill).spill(spill.path(), 8 << 20);
        let policy = policy.start().unwrap();
        let event_loop = EventLoop::start().unwrap();
        let (threaded, multi_loop) = (ThreadedWatcher::new(), MultiLoopWatcher::new().unwrap());
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        threaded.add_child_handler(other.id() as i32, ExitHandler::new(|_| {})).unwrap();
        // Names are cut at fifteen characters: the policy's, the read loop's, two of spawning, the
        // spill's, one that waits, and the two of the event loops.
        let mut masks = Vec::new();
        support::until("all threads have their names", || {
            masks = library_masks();
            masks.len() == 8
        })
        .await;
        threaded.close();
        multi_loop.close();
        drop((event_loop, multi_loop));
        other.kill().unwrap();
        other.wait().unwrap();
        child.kill().await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        for (name, blocked) in masks {
            for signal in Signal::iterator().filter(|it| *it as i32 != libc::SIGKILL) {
                // A thread raises these itself.
                let is_fault = matches!(
                    signal,
                    Signal::SIGSEGV
                        | Signal::SIGBUS
                        | Signal::SIGILL
                        | Signal::SIGFPE
                        | Signal::SIGTRAP
                        | Signal::SIGSYS
                );
                let expected = !is_fault && signal != Signal::SIGSTOP;
                assert_eq!(blocked & bit(signal) != 0, expected, "{name}: {signal}");
            }
        }
    });
}

/// The names of the library's threads, and what they block.
fn library_masks() -> Vec<(String, u64)> {
    let mut masks = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        if name.starts_with("actix-process") {
            masks.push((name.trim().to_owned(), mask(&status, "SigBlk")));
        }
    }
    masks
}

/// Runs the test of this name once more in a process of its own, in which no thread of the harness
/// takes SIGTERM. True in that process.
fn alone(test: &str) -> bool {
    if again::told().is_some() {
        return true;
    }
    let sigterm = SigSet::from(Signal::SIGTERM);
    sigterm.thread_block().unwrap();
    again::run(test, "alone");
    sigterm.thread_unblock().unwrap();
    false
}

#[test]
fn the_hosts_sigwait_gets_what_is_sent_to_the_program() {
    if !alone("the_hosts_sigwait_gets_what_is_sent_to_the_program") {
        return;
    }
    support::run(async || {
        let sigterm = SigSet::from(Signal::SIGTERM);
        // As in a host that starts the policy first: what the threads inherit is not blocked.
        sigterm.thread_unblock().unwrap();
        let policy = Policy::start().unwrap();
        sigterm.thread_block().unwrap();
        policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        for _ in 0..20 {
            kill(nix::unistd::getpid(), Signal::SIGTERM).unwrap();
            assert_eq!(sigterm.wait(), Ok(Signal::SIGTERM));
        }
        policy.shutdown(Duration::ZERO).await;
    });
}

/// A limit of the size of files ends a program that is over it by a signal.
#[test]
fn a_limit_of_the_size_of_files_ends_no_host() {
    if !alone("a_limit_of_the_size_of_files_ends_no_host") {
        return;
    }
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let policy = Policy::builder()
            .log_bound(256 * 1024)
            .overflow(Overflow::Spill)
            .spill(directory.path(), 64 << 20)
            .start()
            .unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 100 * 1024, hard).unwrap();
        let mut log = policy.log(actix_process::Start::Beginning);
        let input = actix_process::Stdin::Bytes(vec![b'x'; 1 << 20].into());
        let refused = policy.spawn(Command::new("cat").stdin(input)).await.unwrap_err();
        assert_eq!(refused.step, actix_process::SpawnStep::PrepareStdin, "{refused}");
        let command = Command::new("head").args(["-c", "3000000", "/dev/zero"]);
        let child = policy.spawn(command).await.unwrap();
        let (mut bytes, mut exited) = (0, false);
        while !exited {
            for entry in within(log.next()).await.unwrap().entries() {
                match &entry.fact {
                    Fact::Chunk(chunk) => bytes += chunk.bytes.len(),
                    Fact::Exited(exit) => exited = exit.child == child.id(),
                    _ => {}
                }
            }
        }
        assert_eq!(bytes, 3_000_000);
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn children_start_with_default_dispositions_and_an_empty_mask() {
    run_with_both_launches(async |policy| {
        let ignored = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGCHLD];
        let before = ignored.map(|signal| (signal, dispose(signal, SigHandler::SigIgn)));
        let command = Command::new("cat").arg("/proc/self/status");
        let child = policy.spawn(command).await.unwrap();
        for (signal, action) in before {
            // SAFETY: it is what was there before.
            unsafe { sigaction(signal, &action) }.unwrap();
        }
        let output = within(child.output()).await.unwrap();
        let status = String::from_utf8_lossy(&output.stdout);
        // Those that this program was started with stay.
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let kept = mask(&own, "SigIgn") & !bit(Signal::SIGPIPE) & !bit(Signal::SIGCHLD);
        assert_eq!(mask(&status, "SigIgn"), kept);
        assert_eq!((mask(&status, "SigBlk"), mask(&status, "SigCgt")), (0, 0));
        // What the host ignored for a moment ends the child.
        let before = dispose(Signal::SIGTERM, SigHandler::SigIgn);
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        // SAFETY: it is what was there before.
        unsafe { sigaction(Signal::SIGTERM, &before) }.unwrap();
        child.signal(Signal::SIGTERM).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status.returncode(), -libc::SIGTERM);
    });
}

#[test]
fn what_was_ignored_when_the_program_started_stays_ignored() {
    const NOHUP: &str = "ACTIX_PROCESS_TEST_NOHUP";
    if std::env::var_os(NOHUP).is_none() {
        support::run_in(|| {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", "what_was_ignored_when_the_program_started_stays_ignored"]);
            // SAFETY: ignoring a signal is allowed between fork and exec.
            unsafe {
                again.env(NOHUP, "1").pre_exec(|| {
                    for signal in [libc::SIGHUP, libc::SIGCHLD] {
                        libc::signal(signal, libc::SIG_IGN);
                    }
                    Ok(())
                })
            };
            let output = again.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        });
        return;
    }
    // SIGCHLD at its default again, or no exit of a child could be learnt of.
    dispose(Signal::SIGCHLD, SigHandler::SigDfl);
    run_with_both_launches(async |policy| {
        for _ in 0..2 {
            let command = Command::new("cat").arg("/proc/self/status");
            let output = policy.spawn(command).await.unwrap().output().await.unwrap();
            let ignored = mask(&String::from_utf8_lossy(&output.stdout), "SigIgn");
            assert_ne!(ignored & bit(Signal::SIGHUP), 0);
            assert_eq!(ignored & (bit(Signal::SIGCHLD) | bit(Signal::SIGPIPE)), 0);
        }
    });
}

#[test]
fn children_have_the_programs_own_limit_of_open_files() {
    const LIMITED: &str = "ACTIX_PROCESS_TEST_LIMITED";
    if std::env::var_os(LIMITED).is_none() {
        support::run_in(|| {
            let mut again = std::process::Command::new("/bin/sh");
            let test = "children_have_the_programs_own_limit_of_open_files";
            let line = format!("ulimit -Sn 200; exec \"$0\" --exact {test}");
            again.args(["-c", &line]).arg(std::env::current_exe().unwrap()).env(LIMITED, "1");
            let output = again.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        });
        return;
    }
    run_with_both_launches(async |policy| {
        let limit = async || {
            let command = Command::shell("ulimit -Sn; ulimit -Hn").log_descriptor(300);
            let output = policy.spawn(command).await.unwrap().output().await.unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().map(|line| line.parse().unwrap()).collect::<Vec<u64>>()
        };
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard, "it was raised");
        assert_eq!(limit().await, [200, hard]);
        // One that the host sets itself counts.
        setrlimit(Resource::RLIMIT_NOFILE, 500, hard).unwrap();
        assert_eq!(limit().await, [500, hard]);
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    });
}
