//! Promises 3 and 5: a signal that ends a process before its program runs is an error of the spawn,
//! or the child's exit; it is never a lost status, and no zombie stays.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::{Duration, Instant};

use actix_process::{Command, ExitStatus, Fault, Policy, SpawnStep, inject};
use nix::sys::signal::Signal;
use support::{again, storm::Storm, within};

/// As a Ctrl-C does it in a program that handles it, by a signal that no shell has ignored.
#[test]
fn a_signal_to_the_group_at_any_moment() {
    if again::told().is_none() {
        return again::run("a_signal_to_the_group_at_any_moment", "interrupted");
    }
    support::run(async || {
        let policy = Policy::start().unwrap();
        let storm = Storm::of(Signal::SIGUSR1, Duration::from_micros(50));
        let (mut refused, mut round) = (0, 0);
        let deadline = Instant::now() + support::DEADLINE;
        while round < 400 || refused == 0 {
            assert!(Instant::now() < deadline, "no signal came before an exec");
            round += 1;
            inject(Fault::SpawnByClone, if round % 2 == 0 { 0 } else { usize::MAX });
            let spawned = storm.during(policy.spawn(Command::new("true"))).await;
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
        drop(storm);
        policy.shutdown(Duration::ZERO).await;
    });
}
