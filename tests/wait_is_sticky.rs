//! A status can be asked for from many places, at once, and long after.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, ExitStatus, Subscribe};
use support::{recorder, run_with_policy};

#[test]
fn a_child_that_ended_before_anyone_waited() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("printf early; exit 9")).await.unwrap();
        support::until("it has ended", || child.try_wait().is_some()).await;
        for _ in 0..3 {
            assert_eq!(child.wait().await.unwrap().status, ExitStatus::Code(9));
        }
        assert_eq!(child.output().await.unwrap().stdout, b"early");
        let (late, record) = recorder::start();
        policy.subscribe(Subscribe::exits(late.recipient()).of(&child)).await.unwrap();
        assert_eq!(record.until_exits(1).await[0].child, child.id());
    });
}

#[test]
fn many_wait_at_once_and_see_the_same_exit() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::new("cat").arg("/dev/zero")).await.unwrap();
        let waits = (0..50).map(|_| {
            let child = child.clone();
            actix::spawn(async move { child.wait().await.unwrap().seq })
        });
        let waits: Vec<_> = waits.collect();
        assert!(child.try_wait().is_none());
        child.kill().await.unwrap();
        let seqs = futures::future::try_join_all(waits).await.unwrap();
        assert!(seqs.iter().all(|seq| *seq == seqs[0]), "{seqs:?}");
    });
}

#[test]
fn a_status_outlives_its_policy() {
    support::run(async || {
        let policy = actix_process::Policy::start().unwrap();
        let child = policy.spawn(Command::shell("exit 4")).await.unwrap();
        child.wait().await.unwrap();
        policy.shutdown(std::time::Duration::ZERO).await;
        assert_eq!(child.wait().await.unwrap().status, ExitStatus::Code(4));
        assert!(child.kill().await.is_err());
    });
}
