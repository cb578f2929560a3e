//! Promises 3 and 5: a signal that ends a process before its program runs is an error of the spawn,
//! or the child's exit; it is never a lost status, and no zombie stays.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use actix_process::{Command, ExitStatus, Fault, Policy, SpawnStep, inject};
use nix::{
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
    unistd::Pid,
};
use support::{again, within};

/// Of the process's own group.
const GROUP: Pid = Pid::from_raw(0);

extern "C" fn nothing(_: i32) {}

/// As a Ctrl-C does it in a program that handles it, by a signal that no shell has ignored.
#[test]
fn a_signal_to_the_group_at_any_moment() {
    if again::told().is_none() {
        return again::run("a_signal_to_the_group_at_any_moment", "interrupted");
    }
    let handler =
        SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &handler) }.unwrap();
    support::run(async || {
        let policy = Policy::start().unwrap();
        let (interrupting, over) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let interrupter = {
            let (interrupting, over) = (Arc::clone(&interrupting), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(SeqCst) {
                    if interrupting.load(SeqCst) {
                        kill(GROUP, Signal::SIGUSR1).unwrap();
                    }
                    let next = Instant::now() + Duration::from_micros(50);
                    while Instant::now() < next {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let (mut refused, mut round) = (0, 0);
        let deadline = Instant::now() + support::DEADLINE;
        while round < 400 || refused == 0 {
            assert!(Instant::now() < deadline, "no signal came before an exec");
            round += 1;
            inject(Fault::SpawnByClone, if round % 2 == 0 { 0 } else { usize::MAX });
            interrupting.store(true, SeqCst);
            let spawned = within(policy.spawn(Command::new("true"))).await;
            interrupting.store(false, SeqCst);
            match spawned {
                Ok(child) => {
                    let status = within(child.wait()).await.unwrap().status;
                    let interrupted =
                        ExitStatus::Signaled { signal: libc::SIGUSR1, core_dumped: false };
                    assert!(status.success() || status == interrupted, "{status}");
                }
                Err(error) => {
                    assert_eq!(error.step, SpawnStep::Execute, "{error}");
                    assert!(error.to_string().contains("SIGUSR1"), "{error}");
                    refused += 1;
                }
            }
            assert_eq!(support::children(), [""; 0], "round {round}");
        }
        inject(Fault::SpawnByClone, 0);
        over.store(true, SeqCst);
        interrupter.join().unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}
