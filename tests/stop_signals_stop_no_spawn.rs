//! A Ctrl-Z at the wrong moment, between the birth of a child and its exec, stops no spawn.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::{Duration, Instant};

use actix_process::{Command, Fault, Policy, ProcessGroup, inject};
use nix::sys::signal::{Signal, kill};
use support::{
    again,
    storm::{GROUP, Storm},
    within,
};

/// In a group of its own, whose parent is in the same session: to one without such a parent the
/// kernel sends no stops.
#[test]
fn four_hundred_rounds() {
    if again::told().is_none() {
        return again::run("four_hundred_rounds", "stopped");
    }
    support::run(async || {
        let policy = Policy::start().unwrap();
        // The program itself goes on, as one does that has something to do before it stops.
        let storm = Storm::of(Signal::SIGTSTP, Duration::from_micros(100));
        for round in 0..400 {
            let group = if round % 2 == 0 { ProcessGroup::Inherit } else { ProcessGroup::Own };
            inject(Fault::SpawnByClone, if round % 4 < 2 { 0 } else { usize::MAX });
            let begin = Instant::now();
            let spawn = policy.spawn(Command::new("true").process_group(group));
            let child = storm.during(spawn).await.unwrap();
            assert!(begin.elapsed() < Duration::from_secs(10), "round {round}");
            // From its exec on it may have been stopped.
            let continued = async {
                while child.try_wait().is_none() {
                    kill(GROUP, Signal::SIGCONT).unwrap();
                    actix::clock::sleep(Duration::from_millis(1)).await;
                }
            };
            within(continued).await;
            assert!(child.wait().await.unwrap().status.success());
        }
        inject(Fault::SpawnByClone, 0);
        drop(storm);
        policy.shutdown(Duration::ZERO).await;
    });
}
