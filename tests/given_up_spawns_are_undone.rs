//! A spawn whose caller has gone before it returned is undone, as a cancelled call in asyncio: the
//! child is killed with its group and reaped, and its exit is in the log.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{collections::HashSet, time::Duration};

use actix_process::{
    Child, Command, Fact, Pipeline, PolicyHandle, ProcessGroup, Signal, Spawn, SpawnPipeline, Start,
};
use futures::FutureExt;
use support::{children, run_with_policy, until, within};

const ROUNDS: usize = 30;

fn sleeping() -> Command {
    Command::shell("sleep 1000 & sleep 1000").process_group(ProcessGroup::Own)
}

fn pipeline() -> Pipeline {
    sleeping().pipe_to(sleeping())
}

/// Waits until as many children as were spawned have ended, and this many at least were spawned.
async fn all_end(policy: &PolicyHandle, least: usize) {
    let mut log = policy.log(Start::Beginning);
    let (mut running, mut spawned) = (HashSet::new(), 0);
    while spawned < least || !running.is_empty() {
        for entry in within(log.next()).await.unwrap().entries() {
            match entry.fact {
                Fact::Spawned { .. } => {
                    running.insert(entry.child);
                    spawned += 1;
                }
                Fact::Exited(_) => drop(running.remove(&entry.child)),
                _ => {}
            }
        }
    }
    until("no process is left", || children().is_empty()).await;
}

/// Polls a future once and drops it after some time, in which the answer may have come. Returns what
/// it gave at once, which was not given up then.
async fn give_up<F: Future>(future: F, naps: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let at_once = (&mut future).now_or_never();
    for _ in 0..if at_once.is_some() { 0 } else { naps } {
        actix::clock::sleep(Duration::from_micros(200)).await;
    }
    at_once
}

async fn kill(child: &Child) {
    child.signal_group(Signal::SIGKILL).await.unwrap();
}

/// One that has run before makes `all_end` wait for the others.
async fn one(policy: &PolicyHandle) {
    within(policy.spawn(Command::new("true")).await.unwrap().wait()).await.unwrap();
}

#[test]
fn calls_of_the_handle() {
    run_with_policy(async |policy| {
        one(policy).await;
        for round in 0..ROUNDS {
            if let Some(child) = give_up(policy.spawn(sleeping()), round % 6).await {
                kill(&child.unwrap()).await;
            }
        }
        all_end(policy, 2).await;
    });
}

#[test]
fn pipelines() {
    run_with_policy(async |policy| {
        one(policy).await;
        for round in 0..ROUNDS {
            let running = give_up(policy.spawn_pipeline(pipeline()), round % 8).await;
            for child in running.iter().flat_map(|it| it.as_ref().unwrap().children()) {
                kill(child).await;
            }
        }
        all_end(policy, 3).await;
    });
}

#[test]
fn messages() {
    run_with_policy(async |policy| {
        one(policy).await;
        for _ in 0..ROUNDS {
            let child = give_up(policy.addr().send(Spawn::new(sleeping())), 0).await;
            let running = give_up(policy.addr().send(SpawnPipeline(pipeline())), 0).await;
            if let Some(child) = child {
                kill(&child.unwrap().unwrap()).await;
            }
            if let Some(running) = running {
                for child in running.unwrap().unwrap().children() {
                    kill(child).await;
                }
            }
        }
        all_end(policy, 1).await;
    });
}

#[test]
fn by_a_timeout() {
    run_with_policy(async |policy| {
        one(policy).await;
        for round in 0..ROUNDS as u64 {
            let time = Duration::from_micros(round * 60);
            if let Ok(child) = tokio::time::timeout(time, policy.spawn(sleeping())).await {
                kill(&child.unwrap()).await;
            }
        }
        all_end(policy, 1).await;
    });
}

#[test]
fn one_that_is_sent_without_a_wait_is_kept() {
    run_with_policy(async |policy| {
        policy.addr().do_send(Spawn::new(Command::shell("exec sleep 1000")));
        let mut log = policy.log(Start::Beginning);
        let spawned = |entry: &actix_process::Entry| matches!(entry.fact, Fact::Spawned { .. });
        while !within(log.next()).await.unwrap().entries().any(spawned) {}
        // A later child comes and goes meanwhile.
        one(policy).await;
        assert_eq!(children().len(), 1);
    });
}
