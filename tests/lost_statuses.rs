//! A status that someone else took is lost: said at once, never invented.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, ExitStatus};
use nix::{
    sys::{
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use support::run_with_policy;

#[test]
fn stolen_by_a_foreign_wait() {
    run_with_policy(async |policy| {
        // The thief waits before the child ends, so that it is woken by the end itself; whoever is
        // first, the status is either true or lost.
        let mut lost = 0;
        for _ in 0..50 {
            let child = policy
                .spawn(Command::shell("read line; exit 5").stdin(actix_process::Stdin::Null))
                .await
                .unwrap();
            let pid = Pid::from_raw(child.pid());
            let stolen =
                matches!(waitpid(pid, Some(WaitPidFlag::empty())), Ok(WaitStatus::Exited(_, 5)));
            let exit = child.wait().await.unwrap();
            let expected = if stolen { ExitStatus::Lost } else { ExitStatus::Code(5) };
            assert_eq!(exit.status, expected);
            if stolen {
                assert_eq!((exit.status.returncode(), exit.status.shell_code()), (255, 255));
                lost += 1;
            }
        }
        assert!(lost > 0, "the thief never won");
    });
}

#[test]
fn sigchld_ignored_by_the_host_program() {
    run_with_policy(async |policy| {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: ignoring a signal runs no handler; the earlier disposition is restored below.
        let before = unsafe { sigaction(Signal::SIGCHLD, &ignore) }.unwrap();
        let mut exits = Vec::new();
        for line in ["exit 0", "printf words; exit 3"] {
            let child = policy.spawn(Command::shell(line)).await.unwrap();
            exits.push(support::within(child.output()).await.unwrap());
        }
        // SAFETY: as above.
        unsafe { sigaction(Signal::SIGCHLD, &before) }.unwrap();
        assert!(exits.iter().all(|output| output.exit.status == ExitStatus::Lost), "{exits:?}");
        assert_eq!(exits[1].stdout, b"words");
        let child = policy.spawn(Command::shell("exit 3")).await.unwrap();
        assert_eq!(child.wait().await.unwrap().status, ExitStatus::Code(3));
    });
}
