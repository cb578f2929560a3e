//! The log's cursors: the position of each reader, and what the reader receives next.

use std::{collections::VecDeque, task::Waker};

use super::{Batch, Concerned, Gap, MergedLog, TurnEntries, spans::Body, totals::Totals};
use crate::{Overflow, Seq, log::spill::SpillRef, restart::drop_contained};

/// A batch takes whole turns until it holds this many bytes.
const BATCH_COST: u64 = 1024 * 1024;

/// Most spans in a batch.
const BATCH_SPANS: usize = 1024;

/// Where a reader or a subscription starts. It receives history first, then new entries, with no
/// hole and no repeat. Entries that the log has already dropped are reported as a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the very first entry.
    Beginning,
    /// At the entry with this number, which may be a future one. If entries from there on are gone,
    /// the gap may begin a little earlier: its counts are exact for its own range.
    At(Seq),
    /// At the next entry.
    Now,
}

/// Names a cursor of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CursorId(u64);

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) next: Seq,
    /// The totals of everything before `next`.
    pub(super) passed: Totals,
    pub(super) lossless: bool,
    /// Entries before this are not returned: the cursor may have started in the middle of a turn.
    pub(super) first: Seq,
    pub(super) waker: Option<Waker>,
    /// Turns that were loaded from a file and that the cursor has not passed yet.
    pub(super) loaded: VecDeque<TurnEntries>,
    /// The cursor waits for the spill thread to load turns.
    pub(super) loading: bool,
    /// The file range that the reader must load itself, outside the lock.
    pub(super) to_load: Option<(Seq, SpillRef)>,
}

/// Contained, because a waker is foreign code that may panic.
impl Drop for Cursor {
    fn drop(&mut self) {
        drop_contained(self.waker.take());
    }
}

impl Cursor {
    fn gap(&self, after: Seq, until: Totals, concerned: Concerned) -> Option<Gap> {
        // If the reader starts later than the gap ends, it misses nothing.
        if self.first >= after {
            return None;
        }
        Some(Gap::new(self.next, after, until - self.passed, concerned))
    }

    /// Whether the loaded turns contain the next entry. They may be only a part of their span,
    /// which may have been joined with another one meanwhile.
    pub(super) fn has_loaded(&self) -> bool {
        let first = self.loaded.front().and_then(|turn| turn.first());
        let last = self.loaded.back().and_then(|turn| turn.last());
        first.is_some_and(|first| first.seq <= self.next)
            && last.is_some_and(|last| last.seq >= self.next)
    }

    /// Takes the next entries of the first loaded turn and moves on. Turns that are passed go to
    /// `spent`.
    fn take_loaded(&mut self, batch: &mut Batch, limit: Limit, spent: &mut Vec<TurnEntries>) {
        let Some(turn) = self.loaded.pop_front() else { return };
        let is_passed = |next| turn.last().is_none_or(|last| last.seq < next);
        if !is_passed(self.next) {
            self.take(&turn, batch, limit);
        }
        if is_passed(self.next) {
            spent.push(turn);
        } else {
            self.loaded.push_front(turn);
        }
    }

    /// Takes the next entries of a turn, all or as many as the batch has room for, and moves on.
    fn take(&mut self, turn: &TurnEntries, batch: &mut Batch, limit: Limit) {
        let Some(first) = turn.first() else { return };
        let from = self.next.0.saturating_sub(first.seq.0) as usize;
        let rest = &turn[from..];
        let taken = match limit {
            Limit::Turns => rest.len(),
            Limit::Entries(limit) => {
                let mut cost = batch.cost;
                let fits = rest.iter().take_while(|entry| {
                    let more = cost < limit;
                    cost += Totals::of(std::slice::from_ref(entry)).cost();
                    more
                });
                fits.count()
            }
        };
        let part = &rest[..taken];
        let totals = Totals::of(part);
        let Some(last) = part.last() else { return };
        (self.next, self.passed) = (last.seq.next(), self.passed + totals);
        batch.cost += totals.cost();
        // A part is copied, so that it does not keep the whole turn in memory.
        let whole = taken == turn.len();
        batch.turns.push(if whole { TurnEntries::clone(turn) } else { part.into() });
    }
}

/// How much a batch takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Whole turns.
    Turns,
    /// This many bytes, and at most one entry more.
    Entries(u64),
}

impl Limit {
    fn cost(self) -> u64 {
        match self {
            Limit::Turns => BATCH_COST,
            Limit::Entries(cost) => cost,
        }
    }
}

impl MergedLog {
    /// Opens a cursor. A lossless one pauses reading when it is a whole log behind.
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
        let lossless = lossless && self.overflow != Overflow::DropOldest;
        let id = CursorId(self.next_cursor);
        self.next_cursor += 1;
        let cursor = Cursor {
            next,
            passed,
            lossless,
            first,
            waker: None,
            loaded: VecDeque::new(),
            loading: false,
            to_load: None,
        };
        self.cursors.insert(id, cursor);
        if lossless {
            self.needs.add(next);
        }
        self.spilling.look_from(next);
        id
    }

    /// The start of the span that holds `seq`. If that is dropped, the last milestone before it.
    fn place_before(&self, seq: Seq) -> (Seq, Totals) {
        self.spans.start_of(seq).unwrap_or_else(|| self.milestones.before(seq))
    }

    /// Makes the cursor lossy: it no longer pauses reading.
    pub(crate) fn make_lossy(&mut self, id: CursorId) {
        if let Some(cursor) = self.cursors.get_mut(&id)
            && std::mem::take(&mut cursor.lossless)
        {
            self.needs.remove(cursor.next);
        }
        self.trim();
    }

    pub(crate) fn close(&mut self, id: CursorId) {
        if let Some(cursor) = self.cursors.remove(&id) {
            if cursor.lossless {
                self.needs.remove(cursor.next);
            }
            self.after.cursors.push(cursor);
        }
        self.trim();
    }

    /// Returns what follows the cursor and moves the cursor on. Returns `None` if nothing follows
    /// yet, or if it must be loaded from a file first: see [`load_for`](MergedLog::load_for).
    pub(crate) fn read(&mut self, id: CursorId, limit: Limit) -> Option<Batch> {
        let (start, dropped) = (self.start(), self.spans.dropped());
        let needed = self.needed();
        let cursor = self.cursors.get_mut(&id)?;
        let (from, lossless) = (cursor.next, cursor.lossless);
        let mut batch = Batch { first: Some(cursor.first), ..Batch::default() };
        if cursor.next < start {
            batch.gap = cursor.gap(start, dropped, Concerned::Anyone);
            (cursor.next, cursor.passed) = (start, dropped);
        }
        for span in self.spans.covering_from(cursor.next).take(BATCH_SPANS) {
            if !batch.is_empty() && batch.cost >= limit.cost() {
                break;
            }
            match &span.body {
                Body::InMemory(entries) => cursor.take(entries, &mut batch, limit),
                // A batch can have a gap only before its first entry.
                Body::Dropped(_) if !batch.is_empty() => break,
                Body::Dropped(of) => {
                    batch.gap = cursor.gap(span.after, span.until, Concerned::clone(of));
                    (cursor.next, cursor.passed) = (span.after, span.until);
                }
                Body::OnDisk(place) => {
                    if batch.is_empty() {
                        self.spilling.fetch(id, cursor, span.first, place);
                    }
                    while cursor.next < span.after
                        && (batch.is_empty() || batch.cost < limit.cost())
                        && cursor.has_loaded()
                    {
                        cursor.take_loaded(&mut batch, limit, &mut self.after.turns);
                    }
                }
            }
            if cursor.next < span.after {
                break;
            }
        }
        if lossless && from < cursor.next {
            self.needs.remove(from);
            self.needs.add(cursor.next);
        }
        // Usually another cursor is further behind, and there is nothing to trim.
        if self.untrimmed || needed < self.needed() {
            self.trim();
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The file range that this cursor's reader must load, outside the lock, before it can read on.
    pub(crate) fn load_for(&mut self, id: CursorId) -> Option<(Seq, SpillRef)> {
        self.cursors.get_mut(&id)?.to_load.take()
    }

    /// Whether the cursor can read something now.
    pub(crate) fn has_more(&mut self, id: CursorId) -> bool {
        let Some(cursor) = self.cursors.get_mut(&id) else { return false };
        match self.spans.covering(cursor.next) {
            Some(span) => match &span.body {
                Body::OnDisk(place) => self.spilling.fetch(id, cursor, span.first, place),
                Body::InMemory(_) | Body::Dropped(_) => true,
            },
            None => cursor.next < self.end,
        }
    }

    /// Whether the cursor is at the log's end.
    pub(crate) fn is_at_end(&self, id: CursorId) -> bool {
        self.cursors.get(&id).is_none_or(|cursor| cursor.next >= self.end)
    }

    /// Reads, or stores `waker` for the next append: `waker` then holds the earlier one, for a drop
    /// outside the lock. Returns `Some(None)` at the end of a finished log.
    pub(crate) fn read_or_wait(
        &mut self,
        id: CursorId,
        waker: &mut Option<Waker>,
    ) -> Option<Option<Batch>> {
        if let Some(batch) = self.read(id, Limit::Turns) {
            return Some(Some(batch));
        }
        if self.finished && self.is_at_end(id) {
            return Some(None);
        }
        if let Some(cursor) = self.cursors.get_mut(&id) {
            std::mem::swap(&mut cursor.waker, waker);
        }
        None
    }
}
