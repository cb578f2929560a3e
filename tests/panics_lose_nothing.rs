//! Promise 3: panics of the waiter, the watcher and the read loop lose no exit and no byte.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{collections::HashSet, time::Duration};

use actix_process::{Command, Fault, Lifecycle, PolicyStopped, Subscribe, error::Part, inject};
use support::recorder;

const CHILDREN: usize = 100;

/// A hundred children, each with 100,000 bytes, while `fault` panics `times` times.
fn nothing_is_lost(fault: Fault, times: usize, part: Part) {
    support::run(async || {
        let policy = support::restarting(50).start().unwrap();
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::lifecycle(recorder.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::output(recorder.clone().recipient())).await.unwrap();
        // Once a child has come and gone, the subscriptions are surely in force.
        policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        policy.subscribe(Subscribe::exits(recorder.recipient())).await.unwrap();
        inject(fault, times);
        let spawns = (0..CHILDREN).map(|n| {
            policy.spawn(Command::shell(format!(
                "head -c 100000 /dev/zero; printf {n:03}; exit {}",
                n % 5
            )))
        });
        let children = futures::future::try_join_all(spawns).await.unwrap();
        let outputs =
            futures::future::join_all(children.iter().map(|child| child.output_lossy())).await;
        for (number, output) in outputs.into_iter().enumerate() {
            let output = output.unwrap();
            assert_eq!(output.exit.status.returncode() as usize, number % 5);
            assert_eq!(
                (output.exit.output_bytes, output.stdout.len() as u64 + output.missing),
                (100_003, 100_003)
            );
        }
        let exits = record.until_exits(CHILDREN).await;
        assert_eq!(exits.iter().map(|exit| exit.child).collect::<HashSet<_>>().len(), CHILDREN);
        assert_eq!(exits.len(), CHILDREN);
        record
            .until(|record| {
                record.entries().len() as u64 == record.entries().last().unwrap().seq.get() + 1
            })
            .await;
        let bytes = |record: &recorder::Record| {
            let entries = record.entries();
            let chunks = entries.iter().filter_map(|entry| match &entry.fact {
                actix_process::Fact::Chunk(chunk) => Some(chunk.bytes.len()),
                _ => None,
            });
            chunks.sum::<usize>()
        };
        record.until(|record| bytes(record) == CHILDREN * 100_003).await;
        let seqs: Vec<u64> = record.entries().iter().map(|entry| entry.seq.get()).collect();
        assert!(seqs.iter().enumerate().all(|(place, seq)| place as u64 == *seq), "a hole");
        record.until(|record| restarts(record, part) == times).await;
        policy.shutdown(Duration::ZERO).await;
    });
}

fn restarts(record: &recorder::Record, part: Part) -> usize {
    let restarted =
        |event: &&Lifecycle| matches!(event, Lifecycle::Restarted { part: p, .. } if *p == part);
    record.lifecycle().iter().filter(restarted).count()
}

#[test]
fn in_waiters_before_they_reap() {
    nothing_is_lost(Fault::WaiterBeforeReap, 10, Part::Waiter);
}

#[test]
fn in_waiters_between_reaping_and_reporting() {
    nothing_is_lost(Fault::WaiterAfterReap, 10, Part::Waiter);
}

#[test]
fn in_the_watcher_before_it_adopts() {
    nothing_is_lost(Fault::WatcherBeforeAdopt, 5, Part::Watcher);
}

#[test]
fn in_the_watcher_after_it_adopted() {
    nothing_is_lost(Fault::WatcherAfterAdopt, 5, Part::Watcher);
}

#[test]
fn in_the_read_loop_before_a_turn() {
    nothing_is_lost(Fault::LoopBeforeTurn, 5, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_before_a_command() {
    nothing_is_lost(Fault::LoopBeforeCommand, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_between_two_finds() {
    nothing_is_lost(Fault::LoopBeforeTake, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_before_a_drain() {
    nothing_is_lost(Fault::LoopBeforeDrain, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_after_a_drain() {
    nothing_is_lost(Fault::LoopAfterDrain, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_before_an_exit_is_stated() {
    nothing_is_lost(Fault::LoopBeforeExit, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_between_two_news() {
    nothing_is_lost(Fault::LoopBeforeNotice, 20, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_with_bytes_in_hand() {
    nothing_is_lost(Fault::LoopAfterRead, 5, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_before_the_log_is_written() {
    nothing_is_lost(Fault::LoopBeforeAppend, 5, Part::ReadLoop);
}

#[test]
fn in_the_read_loop_before_anyone_is_told() {
    nothing_is_lost(Fault::LoopBeforePublish, 5, Part::ReadLoop);
}

/// The read loop takes the last step for the waiter of a child that ends alone, if it comes first:
/// whoever takes it, its panic is the waiter's, and the exit is told once.
#[test]
fn in_the_step_of_a_waiter_whose_child_ends_alone() {
    for fault in [Fault::WaiterBeforeReap, Fault::WaiterAfterReap] {
        support::run(async || {
            let policy = support::restarting(50).start().unwrap();
            let (recorder, record) = recorder::start();
            policy.subscribe(Subscribe::lifecycle(recorder.clone().recipient())).await.unwrap();
            policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
            policy.subscribe(Subscribe::exits(recorder.recipient())).await.unwrap();
            for round in 1..=30 {
                inject(fault, 1);
                let child = policy.spawn(Command::shell(format!("exit {round}"))).await.unwrap();
                let exit = support::within(child.wait()).await.unwrap();
                assert_eq!(exit.status.returncode(), round);
                record.until(|record| restarts(record, Part::Waiter) == round as usize).await;
            }
            assert_eq!(record.until_exits(30).await.len(), 30);
            policy.shutdown(Duration::ZERO).await;
        });
    }
}

/// Such a child may be reported by the read loop before it has a waiter.
#[test]
fn in_the_watcher_after_it_adopted_children_that_end_at_once() {
    support::run(async || {
        let policy = support::restarting(50).start().unwrap();
        policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        let before = support::open_descriptors_at_rest().await;
        for _ in 0..5 {
            inject(Fault::WatcherAfterAdopt, 1);
            let child = policy.spawn(Command::new("true")).await.unwrap();
            support::within(child.wait()).await.unwrap();
        }
        support::until("all are let go of", || support::open_descriptors() == before).await;
        policy.shutdown(support::DEADLINE).await;
    });
}

/// There the shutdown takes the step for the waiter, and nobody restarts it.
#[test]
fn in_a_step_that_the_shutdown_takes() {
    for _ in 0..10 {
        support::run(async || {
            let policy = support::restarting(50).start().unwrap();
            let sleeping = || policy.spawn(Command::new("sleep").arg("1000"));
            let children = [sleeping().await.unwrap(), sleeping().await.unwrap()];
            inject(Fault::WaiterBeforeReap, 1);
            support::within(policy.shutdown(Duration::ZERO)).await;
            inject(Fault::WaiterBeforeReap, 0);
            for child in &children {
                let exit = support::within(child.wait()).await.unwrap();
                assert_eq!(exit.status.returncode(), -libc::SIGTERM);
            }
        });
    }
}

/// Over the intensity the policy ends, says why to everyone, and leaves no child.
fn gives_up(fault: Fault, part: Part) {
    support::run(async || {
        let policy = support::restarting(2).grace(Duration::ZERO).start().unwrap();
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::lifecycle(recorder.recipient())).await.unwrap();
        let quiet = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        inject(fault, 3);
        let ending = policy.spawn(Command::new("true")).await.unwrap();
        let reason = support::within(policy.stopped()).await;
        let PolicyStopped::GaveUp { part: gave_up, panics: 3, .. } = &reason else {
            panic!("it stopped for another reason: {reason}")
        };
        assert_eq!(*gave_up, part);
        for child in [&quiet, &ending] {
            // Either the true status or the reason, but an answer.
            if let Err(told) = support::within(child.wait()).await {
                assert_eq!(told, reason);
            }
            assert!(!support::exists(child.pid()));
        }
        record.until(|record| matches!(record.lifecycle().last(), Some(Lifecycle::Stopped(told)) if *told == reason)).await;
        let refused = policy.spawn(Command::new("true")).await.unwrap_err();
        assert!(refused.to_string().contains("panicked 3 times"), "{refused}");
        inject(fault, 0);
    });
}

#[test]
fn too_many_in_the_read_loop_end_the_policy() {
    gives_up(Fault::LoopBeforePublish, Part::ReadLoop);
}

#[test]
fn too_many_in_a_waiter_end_the_policy() {
    gives_up(Fault::WaiterBeforeReap, Part::Waiter);
}

/// Also if the step panics whenever it is taken: the status was reaped before, and is told.
#[test]
fn a_waiter_that_always_panics_ends_the_policy() {
    support::run(async || {
        let policy = support::restarting(2).grace(Duration::ZERO).start().unwrap();
        inject(Fault::WaiterAfterReap, usize::MAX);
        let child = policy.spawn(Command::shell("exit 3")).await.unwrap();
        let reason = support::within(policy.stopped()).await;
        inject(Fault::WaiterAfterReap, 0);
        assert!(matches!(reason, PolicyStopped::GaveUp { part: Part::Waiter, .. }), "{reason}");
        assert_eq!(support::within(child.wait()).await.unwrap().status.returncode(), 3);
    });
}

#[test]
fn too_many_in_the_watcher_end_the_policy() {
    gives_up(Fault::WatcherBeforeAdopt, Part::Watcher);
}
