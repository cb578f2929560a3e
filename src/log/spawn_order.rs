//! `SpawnOrder`: passes on each child's whole output, in the order of the spawns.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
};

use super::{Entry, Fact};
use crate::ChildId;

/// Turns arrival order into spawn order, as `--keep-order` and output-sync tools do: the first
/// child's entries come live, a later child's when all children before it have exited.
///
/// If the children are deterministic and are spawned one after the other, the bytes come out the
/// same in every run, however their writes overlap. Two things stay unknown: the order between two
/// pipes of one child (send both down one pipe with
/// [`ErrorTo::WithStdout`](crate::ErrorTo::WithStdout)), and when a descendant that outlives its
/// child writes: its bytes come as they arrive.
///
/// It holds the later children's output in memory, as shared slices. It needs a reader without
/// gaps: if it misses an exit, it waits for it until [`finish`](Self::finish).
///
/// ```no_run
/// # use actix_process::{PolicyHandle, Start, log::SpawnOrder};
/// # async fn example(policy: PolicyHandle) {
/// let mut order = SpawnOrder::default();
/// let mut log = policy.log(Start::Beginning);
/// while let Some(batch) = log.next().await {
///     for entry in batch.entries() {
///         order.push(entry, |entry| println!("{entry:?}"));
///     }
/// }
/// # }
/// ```
#[derive(Default)]
pub struct SpawnOrder {
    /// The children whose output is not complete yet; the first one is live.
    waiting: VecDeque<ChildId>,
    held: HashMap<ChildId, Held>,
}

#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    exited: bool,
}

/// Shows how much it holds and never its contents.
impl fmt::Debug for SpawnOrder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: usize = self.held.values().map(|held| held.entries.len()).sum();
        out.debug_struct("SpawnOrder").field("waiting", &self.waiting).field("held", &held).finish()
    }
}

impl SpawnOrder {
    /// Takes the next entry and passes the entries whose turn it is to `each`.
    pub fn push(&mut self, entry: &Entry, mut each: impl FnMut(Entry)) {
        let child = entry.child;
        if matches!(entry.fact, Fact::Spawned { .. }) {
            self.waiting.push_back(child);
            self.held.insert(child, Held::default());
        }
        let Some(held) = self.held.get_mut(&child) else {
            // The child is done, or it was spawned before the reader's start.
            each(entry.clone());
            return;
        };
        held.exited |= matches!(entry.fact, Fact::Exited(_));
        if self.waiting.front() == Some(&child) {
            each(entry.clone());
        } else {
            held.entries.push(entry.clone());
        }
        while let Some(first) = self.waiting.front() {
            if self.held.get(first).is_some_and(|held| !held.exited) {
                break;
            }
            if let Some(done) = self.waiting.pop_front() {
                self.held.remove(&done);
            }
            if let Some(next) = self.waiting.front().and_then(|next| self.held.get_mut(next)) {
                next.entries.drain(..).for_each(&mut each);
            }
        }
    }

    /// At the log's end: passes what is held for children that have not exited to `each`, in order.
    pub fn finish(mut self, mut each: impl FnMut(Entry)) {
        while let Some(next) = self.waiting.pop_front() {
            if let Some(held) = self.held.remove(&next) {
                held.entries.into_iter().for_each(&mut each);
            }
        }
    }
}

#[cfg(test)]
mod properties {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        ExitStatus, ResourceUsage, Seq, Source,
        log::Chunk,
        types::{Exit, Turn},
    };

    /// The facts of one child: its spawn, so many chunks, its exit.
    fn facts(child: u64, chunks: u8) -> VecDeque<Fact> {
        let program: Arc<str> = "child".into();
        let spawned = Fact::Spawned { pid: 1, program: Arc::clone(&program) };
        let chunk = |number: u8| Chunk {
            stream: Source::Stdout,
            bytes: vec![number].into(),
            after_exit: false,
            writer: None,
        };
        let exit = Exit {
            child: ChildId(child),
            pid: 1,
            program,
            status: ExitStatus::Code(0),
            usage: ResourceUsage::default(),
            wall_time: std::time::Duration::ZERO,
            output_bytes: 0,
            last_seq: Seq(0),
            seq: Seq(0),
        };
        let mut facts = VecDeque::from([spawned]);
        facts.extend((0..chunks).map(|number| Fact::Chunk(chunk(number))));
        facts.push_back(Fact::Exited(exit.into()));
        facts
    }

    proptest! {
        #[test]
        fn any_interleaving_comes_out_as_each_child_whole(
            chunks in proptest::collection::vec(0_u8..5, 1..6),
            choices in proptest::collection::vec(0_usize..6, 60),
        ) {
            let mut children: Vec<_> = (0..).zip(&chunks).map(|(id, n)| facts(id, *n)).collect();
            let expected: Vec<(u64, usize)> = (0..)
                .zip(&children)
                .flat_map(|(id, facts)| (0..facts.len()).map(move |fact| (id, fact)))
                .collect();
            // The spawns come in the order of the children; the other facts in any order.
            let mut arrival: Vec<(u64, Fact)> = Vec::new();
            for (id, facts) in (0..).zip(&mut children) {
                arrival.extend(facts.pop_front().map(|fact| (id, fact)));
            }
            for choice in choices.iter().copied().chain(0..6).cycle() {
                let count = children.len();
                let id = choice % count;
                arrival.extend(children[id].pop_front().map(|fact| (id as u64, fact)));
                if children.iter().all(VecDeque::is_empty) {
                    break;
                }
            }
            let mut order = SpawnOrder::default();
            let mut seen = Vec::new();
            let mut counts = vec![0; chunks.len()];
            let mut take = |entry: Entry| {
                let count = &mut counts[entry.child.0 as usize];
                seen.push((entry.child.0, *count));
                *count += 1;
            };
            for (seq, (child, fact)) in (0..).zip(arrival) {
                let entry = Entry { seq: Seq(seq), turn: Turn(0), child: ChildId(child), fact };
                order.push(&entry, &mut take);
            }
            order.finish(take);
            prop_assert_eq!(seen, expected);
        }
    }
}
