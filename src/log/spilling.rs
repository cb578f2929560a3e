//! The log's side of spilling: what to write to files, what to load, and what to free. It only
//! queues the work and wakes the spill thread, which does it.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use super::{Concerned, CursorId, MergedLog, TurnEntries, cursors::Cursor, spans::Body};
use crate::{ChildId, Overflow, Seq, log::spill::SpillRef};

/// Bytes written or loaded at a time; at most the log's bound divided by `WRITE_PART`.
const WRITE_COST: u64 = 1024 * 1024;
const WRITE_PART: u64 = 4;

/// Most spans written at a time.
const WRITE_PIECES: usize = 1024;

/// Most spans in files: each takes some 150 bytes of memory that no bound counts.
const MOST_PIECES: usize = 64 * 1024;

/// Work for the spill thread.
#[derive(Debug)]
pub(crate) enum SpillWork {
    /// Nothing needs these ranges any more (or they were never written).
    Free(Vec<SpillRef>),
    /// No write is left to do, but the state has changed.
    Nothing,
    /// A cursor waits for the span that begins here.
    Load(CursorId, Seq, SpillRef),
    /// To be written.
    Write(SpillWrite),
}

/// Turns that are to go to a file.
#[derive(Debug)]
pub(crate) struct SpillWrite {
    first: Seq,
    after: Seq,
    pub(crate) turns: Vec<TurnEntries>,
    /// The quota that counts the turns, and their cost.
    share: Option<(ChildId, u64)>,
}

/// The work that is queued for the spill thread.
#[derive(Debug, Default)]
pub(super) struct Spilling {
    wake_thread: Option<Sender<()>>,
    /// The files can be written to.
    writes: bool,
    /// Set while the files are full: the first needed entry at that moment.
    full_at: Option<Seq>,
    /// No needed entry before this position is in memory.
    first_here: Option<Seq>,
    /// The spill thread has ended: a reader loads from files itself.
    ended: bool,
    /// Spans over a child's quota, by their first entries, with their costs.
    chunks: VecDeque<(ChildId, Seq, u64)>,
    loads: VecDeque<(CursorId, Seq, SpillRef)>,
    forgotten: Vec<SpillRef>,
}

impl Spilling {
    /// Whether more can be spilled if this many spans are in files.
    pub(super) fn works(&self, in_files: usize) -> bool {
        self.wake_thread.is_some()
            && self.writes
            && self.full_at.is_none()
            && in_files < MOST_PIECES
    }

    /// The first needed entry is now this one: file space may have become free.
    pub(super) fn moved_on(&mut self, needed: Seq) {
        self.full_at.take_if(|at| *at < needed);
    }

    /// A reader needs the entries from this position on.
    pub(super) fn look_from(&mut self, place: Seq) {
        self.first_here.take_if(|here| *here > place);
    }

    /// Queues the range for the spill thread. Returns it if there is no spill thread.
    pub(super) fn retire(&mut self, place: SpillRef) -> Option<SpillRef> {
        if self.wake_thread.is_none() {
            return Some(place);
        }
        self.forgotten.push(place);
        None
    }

    /// Wakes the spill thread if there is work.
    pub(super) fn notify_if(&self, writes: bool) {
        if let Some(wake_thread) = &self.wake_thread
            && (writes || !self.loads.is_empty() || !self.forgotten.is_empty())
        {
            // An error means that the thread is already woken, or has ended.
            let _ = wake_thread.try_send(());
        }
    }

    /// Returns whether the span is loaded for the cursor; if not, queues the load. Also returns
    /// true if the spill thread has ended: then the cursor's reader must load the span.
    pub(super) fn fetch(
        &mut self,
        id: CursorId,
        cursor: &mut Cursor,
        first: Seq,
        place: &SpillRef,
    ) -> bool {
        if cursor.has_loaded() {
            return true;
        }
        if self.ended {
            cursor.to_load = Some((first, place.clone()));
            return true;
        }
        if !cursor.loading {
            cursor.loading = true;
            self.loads.push_back((id, first, place.clone()));
            self.notify_if(false);
        }
        false
    }
}

impl MergedLog {
    /// From now on there is a spill thread, which `wake_thread` wakes.
    pub(crate) fn spill_with(&mut self, wake_thread: Sender<()>) {
        (self.spilling.wake_thread, self.spilling.writes) = (Some(wake_thread), true);
    }

    fn write_cost(&self) -> u64 {
        WRITE_COST.min(self.bound / WRITE_PART)
    }

    /// Whether something should be written to a file.
    pub(super) fn spills(&self) -> bool {
        self.spilling.works(self.spans.in_files())
            && (!self.spilling.chunks.is_empty()
                || (self.overflow == Overflow::Spill && self.behind() > self.bound / 2))
    }

    /// Queues these chunks of a child for writing.
    pub(super) fn spill_chunks(&mut self, child: ChildId, chunks: &[Seq]) {
        self.each_isolated(child, chunks, |log, first| {
            let Some(span) = log.spans.covering(first) else { return };
            let cost = span.cost();
            log.spilling.chunks.push_back((child, first, cost));
            if let Some(share) = log.quotas.get_mut(child) {
                share.spilling += cost;
            }
        });
    }

    /// For the spill thread: returns the next work.
    pub(crate) fn spill_work(&mut self) -> Option<SpillWork> {
        if self.untrimmed {
            self.trim();
            return Some(SpillWork::Nothing);
        }
        if !self.spilling.forgotten.is_empty() {
            self.spilling.full_at = None;
            return Some(SpillWork::Free(std::mem::take(&mut self.spilling.forgotten)));
        }
        if let Some((id, first, place)) = self.spilling.loads.pop_front() {
            return Some(SpillWork::Load(id, first, place));
        }
        if !self.spills() {
            return None;
        }
        let needed = self.needed();
        let mut passed = false;
        while let Some((child, first, cost)) = self.spilling.chunks.pop_front() {
            if let Some(span) = self.spans.covering(first)
                && let Body::InMemory(turn) = &span.body
                && span.after > needed
            {
                let (after, turns) = (span.after, vec![TurnEntries::clone(turn)]);
                let share = Some((child, cost));
                return Some(SpillWork::Write(SpillWrite { first, after, turns, share }));
            }
            self.no_longer_spilling(Some((child, cost)));
            passed = true;
        }
        match self.oldest_turns(needed) {
            Some(write) => Some(SpillWork::Write(write)),
            // A child may wait for just this change.
            None => passed.then_some(SpillWork::Nothing),
        }
    }

    /// The oldest turns in memory that a lossless cursor needs.
    fn oldest_turns(&mut self, needed: Seq) -> Option<SpillWrite> {
        if self.overflow != Overflow::Spill || self.behind() <= self.bound / 2 {
            return None;
        }
        let here = |body: &Body| matches!(body, Body::InMemory(_));
        let mut from =
            self.spans.from(self.spilling.first_here.map_or(needed, |here| here.max(needed)));
        let first = from.find(|span| here(&span.body))?.first;
        self.spilling.first_here = Some(first);
        let (mut after, mut turns, mut cost) = (first, Vec::new(), 0);
        let most = self.write_cost();
        for span in self.spans.from(first).take(WRITE_PIECES) {
            let Body::InMemory(turn) = &span.body else { break };
            turns.push(TurnEntries::clone(turn));
            (after, cost) = (span.after, cost + span.cost());
            if cost >= most {
                break;
            }
        }
        Some(SpillWrite { first, after, turns, share: None })
    }

    /// For the spill thread: the turns are now in this file range.
    pub(crate) fn spilled(&mut self, write: &SpillWrite, place: SpillRef) {
        let SpillWrite { first, after, .. } = *write;
        let own = place.clone();
        let most = self.write_cost();
        if !self.spans.spilled(first, after, own, most) {
            self.retire(place);
        }
        self.no_longer_spilling(write.share);
        self.trim();
    }

    fn no_longer_spilling(&mut self, share: Option<(ChildId, u64)>) {
        if let Some((child, cost)) = share
            && let Some(share) = self.quotas.get_mut(child)
        {
            share.spilling = share.spilling.saturating_sub(cost);
        }
    }

    /// For the spill thread: the files are full until something is freed. The turns that were to be
    /// written stay in memory.
    pub(crate) fn spill_is_full(&mut self, write: &SpillWrite) {
        self.spilling.full_at = Some(self.needed());
        if let Some((child, cost)) = write.share {
            self.spilling.chunks.push_front((child, write.first, cost));
        }
    }

    /// For the spill thread: writing has failed for good; [`Overflow::Block`] is in force.
    pub(crate) fn spill_failed(&mut self) {
        self.spilling.writes = false;
        for (child, _, cost) in std::mem::take(&mut self.spilling.chunks) {
            self.no_longer_spilling(Some((child, cost)));
        }
    }

    /// For the spill thread: the turns that a cursor waits for; `None` makes them a gap.
    pub(crate) fn spill_loaded(
        &mut self,
        id: CursorId,
        first: Seq,
        turns: Option<Vec<TurnEntries>>,
    ) {
        if turns.is_none()
            && let Some(span) = self.spans.covering(first)
            && matches!(span.body, Body::OnDisk(_))
        {
            self.lose(span.first, Concerned::Anyone);
        }
        let turns = VecDeque::from(turns.unwrap_or_default());
        let Some(cursor) = self.cursors.get_mut(&id) else {
            self.after.turns.extend(turns);
            return;
        };
        cursor.loading = false;
        self.after.turns.extend(std::mem::replace(&mut cursor.loaded, turns));
        self.after.wakers.extend(cursor.waker.take());
    }

    /// The spill thread has panicked: the waiting cursors ask again for what they need.
    pub(crate) fn spill_again(&mut self) {
        self.spilling.loads.clear();
        for cursor in self.cursors.values_mut() {
            cursor.loading = false;
            self.after.wakers.extend(cursor.waker.take());
        }
    }

    /// The spill thread has ended: each reader loads what it needs.
    pub(crate) fn spill_no_more(&mut self) {
        self.spill_failed();
        self.spilling.ended = true;
        self.spilling.wake_thread = None;
        self.after.places.append(&mut self.spilling.forgotten);
        self.spill_again();
    }
}

#[cfg(test)]
#[path = "spilling_tests.rs"]
mod tests;
