//! `MergedLog`: the bounded log itself and its cursors. Pure: no descriptor, no thread, no clock.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use super::{
    Batch, Entry, Gap, TurnEntries,
    totals::{Milestones, Totals},
};
use crate::{ChildId, Seq};

/// A batch takes whole turns until it holds this much.
const BATCH_COST: u64 = 1024 * 1024;

/// Where a reader or a subscription starts. History comes first, then what is new, without a hole
/// or a repeat; what the log has dropped by then is told as a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the very first entry.
    Beginning,
    /// At the entry with this number, also one to come. Where entries from there on are gone, the
    /// gap may begin somewhat earlier: its counts are exact for what it spans.
    At(Seq),
    /// At the next entry.
    Now,
}

/// What happens when a lossless reader is a whole log behind, named by its cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Reading pauses, and the children block as on a full pipe, until the reader has caught up.
    /// Without a lossless reader, the oldest entries go.
    #[default]
    Block,
    /// The oldest entries go, also those that a reader still wants; a counted [`Gap`] stands in their
    /// place. Nobody ever blocks.
    DropOldest,
}

/// Names a cursor of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CursorId(u64);

#[derive(Debug)]
struct Cursor {
    next: Seq,
    /// The totals of everything before `next`.
    passed: Totals,
    lossless: bool,
    /// Entries before this are not handed over: it started in the middle of a turn.
    first: Seq,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Held {
    entries: TurnEntries,
    /// The totals up to and including this turn.
    until: Totals,
}

impl Held {
    fn first(&self) -> Seq {
        self.entries[0].seq
    }

    fn after(&self) -> Seq {
        Seq(self.first().0 + self.entries.len() as u64)
    }
}

/// The log: whole turns, the oldest in front.
#[derive(Debug)]
pub(crate) struct MergedLog {
    bound: u64,
    overflow: Overflow,
    turns: VecDeque<Held>,
    end: Seq,
    appended: Totals,
    dropped: Totals,
    /// Places in what was dropped, for the readers that ask for one of them.
    milestones: Milestones,
    cursors: BTreeMap<CursorId, Cursor>,
    next_cursor: u64,
    finished: bool,
}

impl MergedLog {
    /// An empty log that holds about `bound` bytes.
    pub(crate) fn new(bound: u64, overflow: Overflow) -> Self {
        MergedLog {
            bound,
            overflow,
            turns: VecDeque::new(),
            end: Seq(0),
            appended: Totals::default(),
            dropped: Totals::default(),
            milestones: Milestones::default(),
            cursors: BTreeMap::new(),
            next_cursor: 0,
            finished: false,
        }
    }

    /// The sequence number of the next entry.
    pub(crate) fn end(&self) -> Seq {
        self.end
    }

    /// Appends the entries of one turn, which must continue the sequence, and wakes the readers.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        debug_assert_eq!(first.seq, self.end, "the sequence must have no hole");
        self.end = Seq(self.end.0 + entries.len() as u64);
        self.appended = self.appended + Totals::of(&entries);
        self.turns.push_back(Held { entries: entries.into(), until: self.appended });
        self.trim();
        self.wake();
    }

    /// Shows the entries of one child that are there.
    pub(crate) fn each_of(&self, child: ChildId, mut each: impl FnMut(&Entry)) {
        let entries = self.turns.iter().flat_map(|held| held.entries.iter());
        entries.filter(|entry| entry.child == child).for_each(&mut each);
    }

    /// Ends the log: readers that have read everything are told so.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.wake();
    }

    fn wake(&mut self) {
        for cursor in self.cursors.values_mut() {
            if let Some(waker) = cursor.waker.take() {
                waker.wake();
            }
        }
    }

    /// How many bytes may be read before the slowest lossless cursor is a whole log behind.
    pub(crate) fn room(&self) -> u64 {
        let lossless = self.cursors.values().filter(|cursor| cursor.lossless);
        let behind = lossless.map(|cursor| (self.appended - cursor.passed).cost()).max();
        self.bound.saturating_sub(behind.unwrap_or(0))
    }

    /// Drops the oldest turns over the bound, as far as no lossless cursor still needs them.
    fn trim(&mut self) {
        let lossless = self.cursors.values().filter(|cursor| cursor.lossless);
        let needed = lossless.map(|cursor| cursor.next).min().unwrap_or(self.end);
        while (self.appended - self.dropped).cost() > self.bound
            && let Some(oldest) = self.turns.front()
            && oldest.after() <= needed
        {
            self.milestones.pass(oldest.first(), self.dropped);
            self.dropped = oldest.until;
            self.turns.pop_front();
        }
    }

    /// Opens a cursor. A lossless one holds reading back when it is a whole log behind.
    pub(crate) fn open(&mut self, start: Start, lossless: bool) -> CursorId {
        let (next, passed, first) = match start {
            Start::Beginning => (Seq(0), Totals::default(), Seq(0)),
            Start::At(seq) if seq < self.end => {
                let (next, passed) = self.place_before(seq);
                (next, passed, seq)
            }
            Start::At(seq) => (self.end, self.appended, seq),
            Start::Now => (self.end, self.appended, self.end),
        };
        let lossless = lossless && self.overflow == Overflow::Block;
        let id = CursorId(self.next_cursor);
        self.next_cursor += 1;
        self.cursors.insert(id, Cursor { next, passed, lossless, first, waker: None });
        id
    }

    /// The last turn's start, or the last milestone in what was dropped, at or before `seq`.
    fn place_before(&self, seq: Seq) -> (Seq, Totals) {
        let holding = self.turns.partition_point(|held| held.after() <= seq);
        match holding.checked_sub(1) {
            Some(before) => (self.turns[before].after(), self.turns[before].until),
            None => match self.turns.front() {
                Some(oldest) if oldest.first() <= seq => (oldest.first(), self.dropped),
                _ => self.milestones.before(seq),
            },
        }
    }

    /// The cursor no longer holds reading back.
    pub(crate) fn make_lossy(&mut self, id: CursorId) {
        if let Some(cursor) = self.cursors.get_mut(&id) {
            cursor.lossless = false;
        }
        self.trim();
    }

    pub(crate) fn close(&mut self, id: CursorId) {
        self.cursors.remove(&id);
        self.trim();
    }

    /// Hands over what follows the cursor and moves it on; `None` where nothing follows yet.
    pub(crate) fn read(&mut self, id: CursorId) -> Option<Batch> {
        let cursor = self.cursors.get_mut(&id)?;
        if cursor.next == self.end {
            return None;
        }
        let mut batch = Batch { first: Some(cursor.first), ..Batch::default() };
        let oldest = self.turns.front().map_or(self.end, Held::first);
        if cursor.next < oldest {
            // Where it is to start later, nothing of what it asked for is gone.
            if cursor.first < oldest {
                let lost = self.dropped - cursor.passed;
                batch.gap = Some(Gap {
                    first: cursor.next,
                    last: Seq(oldest.0 - 1),
                    chunks: lost.chunks,
                    bytes: lost.bytes,
                    facts: lost.facts,
                });
                tracing::info!(
                    first = %cursor.next, chunks = lost.chunks, bytes = lost.bytes,
                    "gap: a reader was too slow, and the oldest entries went",
                );
            }
            (cursor.next, cursor.passed) = (oldest, self.dropped);
        }
        let from = self.turns.partition_point(|held| held.after() <= cursor.next);
        let start = cursor.passed;
        for held in self.turns.range(from..) {
            batch.turns.push(Arc::clone(&held.entries));
            (cursor.next, cursor.passed) = (held.after(), held.until);
            if (cursor.passed - start).cost() >= BATCH_COST {
                break;
            }
        }
        self.trim();
        Some(batch)
    }

    /// Whether entries follow the cursor.
    pub(crate) fn has_more(&self, id: CursorId) -> bool {
        self.cursors.get(&id).is_some_and(|cursor| cursor.next < self.end)
    }

    /// Reads, or leaves `waker` to be woken by the next append. `Some(None)` at the log's end.
    pub(crate) fn read_or_wait(&mut self, id: CursorId, waker: &Waker) -> Option<Option<Batch>> {
        if let Some(batch) = self.read(id) {
            return Some(Some(batch));
        }
        if self.finished {
            return Some(None);
        }
        if let Some(cursor) = self.cursors.get_mut(&id) {
            cursor.waker = Some(waker.clone());
        }
        None
    }
}

#[cfg(test)]
#[path = "merged_properties.rs"]
mod properties;
