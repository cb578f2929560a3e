//! Promise 4, for readers that are far behind: what happens is what was chosen, for the log and for
//! one child's share, and every byte is delivered or counted in a gap.
//!
//! `ACTIX_PROCESS_BEHIND_MIB` sets how far the slow subscriber is behind (1,024 by default).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use actix::{Actor, Arbiter, Context, Handler};
use actix_process::{
    ChildId, Command, Fact, Fault, Lifecycle, OutputBatch, Overflow, Policy, PolicyBuilder,
    PolicyHandle, ReplayError, SpawnStep, Start, StartError, Subscribe, inject, replay_spilled,
};
use support::{lock, recorder, within};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// What a subscriber has had, by child, and in gaps.
#[derive(Default)]
struct Counts {
    delivered: HashMap<ChildId, u64>,
    gaps: u64,
    /// Gaps that concern somebody else than the child that may have them.
    strange_gaps: u64,
    next: u64,
}

impl Counts {
    fn of(&self, child: ChildId) -> u64 {
        self.delivered.get(&child).copied().unwrap_or(0)
    }
}

/// A subscriber that can be held up, and keeps nothing.
#[derive(Clone, Default)]
struct Slow {
    counts: Arc<Mutex<Counts>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    may_lose: Option<ChildId>,
}

impl Actor for Slow {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Slow {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        let (open, changed) = &*self.gate;
        let waited = changed.wait_timeout_while(lock(open), Duration::from_secs(60), |it| !*it);
        assert!(!waited.unwrap().1.timed_out(), "the gate was never opened");
        let mut counts = lock(&self.counts);
        if let Some(gap) = batch.gap() {
            assert_eq!(gap.first.get(), counts.next, "the sequence has a hole");
            counts.gaps += gap.bytes;
            counts.next = gap.last.get() + 1;
            let others = [ChildId::from(0)];
            counts.strange_gaps +=
                u64::from(self.may_lose.is_some() && others.iter().any(|it| gap.concerns(*it)));
        }
        for entry in batch.entries() {
            assert_eq!(entry.seq.get(), counts.next, "the sequence has a hole");
            counts.next += 1;
            if let Fact::Chunk(chunk) = &entry.fact {
                *counts.delivered.entry(entry.child).or_default() += chunk.bytes.len() as u64;
            }
        }
    }
}

impl Slow {
    fn open(&self) {
        *lock(&self.gate.0) = true;
        self.gate.1.notify_all();
    }

    async fn until(&self, what: &str, so: impl Fn(&Counts) -> bool) {
        support::until(what, || so(&lock(&self.counts))).await;
    }
}
