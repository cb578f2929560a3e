//! `MergedLog`: the bounded log itself. Pure: no thread, no clock; it only names what is in files.
//! Its cursors are in `cursors`, and its orders to the spill thread in `spilling`.

use std::{collections::BTreeMap, fmt};

use super::{
    CollectorId, Concerned, Entry,
    collecting::Collectors,
    cursors::{Cursor, CursorId},
    needs::Needs,
    quotas::Quotas,
    shared::Afterwards,
    spans::{Body, Span, Spans},
    spilling::Spilling,
    totals::{Milestones, Totals},
};
use crate::{ChildId, Overflow, Seq, log::spill::SpillRef, types::Quota};

/// Most spans dropped at a time. The rest is dropped at the next opportunity.
const DROPS: usize = 1024;

/// The log: whole turns, oldest first.
pub(crate) struct MergedLog {
    pub(super) bound: u64,
    pub(super) overflow: Overflow,
    pub(super) spans: Spans,
    pub(super) end: Seq,
    pub(super) appended: Totals,
    /// Totals at some dropped positions, for readers that start there.
    pub(super) milestones: Milestones,
    pub(super) cursors: BTreeMap<CursorId, Cursor>,
    pub(super) next_cursor: u64,
    pub(super) needs: Needs,
    pub(super) quotas: Quotas,
    pub(super) spilling: Spilling,
    pub(super) collectors: Collectors,
    /// Histories that collectors are reading: nothing from these positions on is dropped.
    pub(super) pins: Vec<(CollectorId, Seq)>,
    /// `trim` stopped early: there is more to drop.
    pub(super) untrimmed: bool,
    pub(super) finished: bool,
    /// What to do after the log is unlocked.
    pub(super) after: Afterwards,
}

impl MergedLog {
    /// An empty log that holds about `bound` bytes.
    pub(crate) fn new(bound: u64, overflow: Overflow) -> Self {
        MergedLog {
            bound,
            overflow,
            spans: Spans::default(),
            end: Seq(0),
            appended: Totals::default(),
            milestones: Milestones::default(),
            cursors: BTreeMap::new(),
            next_cursor: 0,
            needs: Needs::default(),
            quotas: Quotas::default(),
            spilling: Spilling::default(),
            collectors: Collectors::default(),
            pins: Vec::new(),
            untrimmed: false,
            finished: false,
            after: Afterwards::default(),
        }
    }

    /// The sequence number of the next entry.
    pub(crate) fn end(&self) -> Seq {
        self.end
    }

    /// The first entry that is not dropped.
    pub(super) fn start(&self) -> Seq {
        self.spans.front().map_or(self.end, |span| span.first)
    }

    /// Appends the entries of one turn, which must continue the sequence, and wakes the readers.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        debug_assert_eq!(first.seq, self.end, "the sequence must have no hole");
        self.end = Seq(self.end.0 + entries.len() as u64);
        self.appended = self.appended + Totals::of(&entries);
        let counted = self.quotas.count(&entries);
        self.collectors.feed(&entries);
        self.spans.push(entries.into(), self.appended);
        if !counted.is_empty() {
            let (start, needed) = (self.start(), self.needed());
            counted.into_iter().for_each(|child| self.enforce_quota(child, start, needed));
        }
        self.trim();
        self.wake();
    }

    /// Ends the log, and wakes the readers so that those at the end see it.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.spill_no_more();
        self.wake();
    }

    fn wake(&mut self) {
        for cursor in self.cursors.values_mut() {
            self.after.wakers.extend(cursor.waker.take());
        }
    }

    /// How far the slowest lossless cursor is behind, in bytes of memory.
    pub(super) fn behind(&self) -> u64 {
        self.needs.first().map_or(0, |needed| self.spans.cost_from(needed))
    }

    /// One of the lossless cursors that are furthest behind.
    pub(crate) fn slowest(&self) -> Option<CursorId> {
        let needed = self.needs.first()?;
        let mut cursors = self.cursors.iter();
        cursors.find(|(_, cursor)| cursor.lossless && cursor.next == needed).map(|(id, _)| *id)
    }

    /// How many bytes may be read before the slowest lossless cursor is a whole log behind.
    pub(crate) fn room(&self) -> u64 {
        let room = self.bound.saturating_sub(self.behind());
        if self.pins.is_empty() {
            return room;
        }
        // While a collector reads history, nothing is dropped: briefly, the log may grow by a half.
        room.min((self.bound + self.bound / 2).saturating_sub(self.spans.cost()))
    }

    /// The first entry that a lossless cursor still needs.
    pub(super) fn needed(&self) -> Seq {
        self.needs.first().unwrap_or(self.end)
    }

    /// Drops the oldest turns over the bound that no lossless cursor needs. Frees every file range
    /// that no lossless cursor needs.
    pub(super) fn trim(&mut self) {
        let needed = self.needed();
        let pinned = self.pins.iter().map(|(_, from)| *from).min();
        let kept = pinned.filter(|_| self.overflow != Overflow::DropOldest).unwrap_or(needed);
        let mut drops = 0;
        while let Some(span) = self.spans.front()
            && span.after <= needed.min(kept)
            && (self.spans.cost() > self.bound || !matches!(span.body, Body::InMemory(_)))
            && drops < DROPS
        {
            self.milestones.pass(span.first, self.spans.dropped());
            if let Some(span) = self.spans.pop_front() {
                self.discard(span);
            }
            drops += 1;
        }
        // File ranges can also follow spans that are kept in memory.
        while drops < DROPS
            && let Some(first) = self.spans.spilled_before(needed)
        {
            self.lose(first, Concerned::Anyone);
            drops += 1;
        }
        self.untrimmed = drops == DROPS;
        self.spilling.moved_on(needed);
        self.spilling.notify_if(self.spills() || self.untrimmed);
    }

    /// Frees the span's contents after the log is unlocked. The spill thread frees file ranges.
    fn discard(&mut self, span: Span) {
        match span.body {
            Body::OnDisk(place) => self.retire(*place),
            Body::InMemory(_) | Body::Dropped(_) => self.after.spans.push(span),
        }
    }

    /// Frees a file range that nothing needs any more.
    pub(super) fn retire(&mut self, place: SpillRef) {
        self.after.places.extend(self.spilling.retire(place));
    }

    /// Sets a child's own quota.
    pub(crate) fn set_quota(&mut self, child: ChildId, share: Quota) {
        self.quotas.set(child, share);
    }

    /// Enforces a child's quota: blocks the child, or spills or drops its oldest chunks.
    fn enforce_quota(&mut self, child: ChildId, start: Seq, needed: Seq) {
        let spills = self.spilling.works(self.spans.in_files());
        let Some(share) = self.quotas.get_mut(child) else { return };
        share.forget_before(start);
        if share.of.overflow != Overflow::DropOldest {
            share.forget_before(needed);
        }
        match share.of.overflow {
            Overflow::Spill if spills => {
                let excess = share.take_excess();
                // Chunks being spilled are still in memory: too many of them block the child.
                let over = share.spilling > share.of.bytes;
                self.quotas.block(child, over);
                self.spill_chunks(child, &excess);
            }
            Overflow::Block | Overflow::Spill => {
                // Chunks whose spilling the full files stopped are still in memory.
                let over = share.held + share.spilling > share.of.bytes;
                self.quotas.block(child, over);
            }
            Overflow::DropOldest => {
                let excess = share.take_excess();
                self.each_isolated(child, &excess, |log, first| {
                    log.lose(first, Concerned::only(child));
                });
            }
        }
    }

    /// Splits off these chunks of a child as spans of their own, and passes each to `each`.
    pub(super) fn each_isolated(
        &mut self,
        child: ChildId,
        chunks: &[Seq],
        mut each: impl FnMut(&mut Self, Seq),
    ) {
        let Some(&last) = chunks.last() else { return };
        let mut done = None;
        for &seq in chunks {
            if done.is_some_and(|done| seq < done) {
                continue;
            }
            let Some(span) = self.spans.covering(seq) else { continue };
            done = Some(span.after);
            for first in self.spans.isolate(seq, last, child) {
                each(self, first);
            }
        }
    }

    /// Replaces a span by a gap.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) {
        if let Some(span) = self.spans.lose(first, concerned) {
            self.discard(span);
        }
    }

    /// The children to pause (`true`) or to resume because of their quotas, since the last call.
    pub(crate) fn quota_changes(&mut self) -> Vec<(ChildId, bool)> {
        let blocked: Vec<ChildId> = self.quotas.blocked().iter().copied().collect();
        let (start, needed) = (self.start(), self.needed());
        blocked.into_iter().for_each(|child| self.enforce_quota(child, start, needed));
        self.spilling.notify_if(self.spills());
        self.quotas.take_changes()
    }

    /// Whether a child is blocked by its quota, or was until now.
    pub(crate) fn quotas_wait(&self) -> bool {
        self.quotas.wait()
    }
}

/// Shows how much the log holds and never its contents.
impl fmt::Debug for MergedLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MergedLog")
            .field("bound", &self.bound)
            .field("end", &self.end)
            .field("cost", &self.spans.cost())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "merged_properties.rs"]
mod properties;
