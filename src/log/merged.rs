//! `MergedLog`: the bounded log itself. Pure: no thread, no clock, and what went to files it only
//! names. Its cursors are in `cursors`, and what it tells the spill thread in `spilling`.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Concerned, Entry, LogShare, Overflow,
    cursors::{Cursor, CursorId},
    pieces::{Body, Pieces},
    shares::Shares,
    spilling::Spilling,
    totals::{Milestones, Totals},
};
use crate::{ChildId, Seq};

/// The log: whole turns, the oldest in front.
#[derive(Debug)]
pub(crate) struct MergedLog {
    pub(super) bound: u64,
    pub(super) overflow: Overflow,
    pub(super) pieces: Pieces,
    pub(super) end: Seq,
    pub(super) appended: Totals,
    /// Places in what was dropped, for the readers that ask for one of them.
    pub(super) milestones: Milestones,
    pub(super) cursors: BTreeMap<CursorId, Cursor>,
    pub(super) next_cursor: u64,
    pub(super) shares: Shares,
    pub(super) spilling: Spilling,
    pub(super) finished: bool,
}

impl MergedLog {
    /// An empty log that holds about `bound` bytes.
    pub(crate) fn new(bound: u64, overflow: Overflow) -> Self {
        MergedLog {
            bound,
            overflow,
            pieces: Pieces::default(),
            end: Seq(0),
            appended: Totals::default(),
            milestones: Milestones::default(),
            cursors: BTreeMap::new(),
            next_cursor: 0,
            shares: Shares::default(),
            spilling: Spilling::default(),
            finished: false,
        }
    }

    /// The sequence number of the next entry.
    pub(crate) fn end(&self) -> Seq {
        self.end
    }

    /// Where what is still there begins.
    pub(super) fn start(&self) -> Seq {
        self.pieces.front().map_or(self.end, |(first, _)| first)
    }

    /// Appends the entries of one turn, which must continue the sequence, and wakes the readers.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        debug_assert_eq!(first.seq, self.end, "the sequence must have no hole");
        self.end = Seq(self.end.0 + entries.len() as u64);
        let holds = Totals::of(&entries);
        self.appended = self.appended + holds;
        let counted = self.shares.count(&entries);
        self.pieces.push(entries.into(), self.appended);
        for cursor in self.cursors.values_mut() {
            cursor.behind += holds.cost();
        }
        if !counted.is_empty() {
            let (start, needed) = (self.start(), self.needed());
            counted.into_iter().for_each(|child| self.enforce_share(child, start, needed));
        }
        self.trim();
        self.wake();
    }

    /// Shows the entries of one child that are in memory, and `None` where some between them are not.
    pub(crate) fn each_of(&self, child: ChildId, mut each: impl FnMut(Option<&Entry>)) {
        for piece in self.pieces.all() {
            match &piece.body {
                Body::Here(turn) => {
                    turn.iter().filter(|entry| entry.child == child).for_each(|it| each(Some(it)));
                }
                Body::Gone(of) if !of.includes(child) => {}
                Body::Gone(_) | Body::Spilled(_) => each(None),
            }
        }
    }

    /// Ends the log: readers that have read everything are told so.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.spill_no_more();
        self.wake();
    }

    fn wake(&mut self) {
        for cursor in self.cursors.values_mut() {
            if let Some(waker) = cursor.waker.take() {
                waker.wake();
            }
        }
    }

    /// How far the slowest lossless cursor is behind, in bytes of memory.
    pub(super) fn behind(&self) -> u64 {
        let lossless = self.cursors.values().filter(|cursor| cursor.lossless);
        lossless.map(|cursor| cursor.behind).max().unwrap_or(0)
    }

    /// How many bytes may be read before the slowest lossless cursor is a whole log behind.
    pub(crate) fn room(&self) -> u64 {
        self.bound.saturating_sub(self.behind())
    }

    /// The first entry that a lossless cursor still needs.
    pub(super) fn needed(&self) -> Seq {
        let lossless = self.cursors.values().filter(|cursor| cursor.lossless);
        lossless.map(|cursor| cursor.next).min().unwrap_or(self.end)
    }

    /// Drops the oldest turns over the bound, as far as no lossless cursor still needs them. A file
    /// keeps nothing that nobody needs.
    pub(super) fn trim(&mut self) {
        let needed = self.needed();
        while let Some((first, piece)) = self.pieces.front()
            && piece.after <= needed
            && (self.pieces.cost() > self.bound || !matches!(piece.body, Body::Here(_)))
        {
            let cost = piece.cost();
            self.milestones.pass(first, self.pieces.dropped());
            for cursor in self.cursors.values_mut().filter(|cursor| cursor.next <= first) {
                cursor.behind = cursor.behind.saturating_sub(cost);
            }
            if let Some(Body::Spilled(place)) = self.pieces.pop_front().map(|piece| piece.body) {
                self.spilling.retire(*place);
            }
        }
        // Behind what is kept in memory, too.
        while let Some(first) = self.pieces.spilled_before(needed) {
            self.lose(first, Concerned::Anyone);
        }
        self.spilling.moved_on(needed);
        self.spilling.ring_if(self.spills());
    }

    /// Gives a child a share of its own.
    pub(crate) fn set_share(&mut self, child: ChildId, share: LogShare) {
        self.shares.set(child, share);
    }

    /// Acts on a child's share: it is blocked, or the oldest of it goes.
    fn enforce_share(&mut self, child: ChildId, start: Seq, needed: Seq) {
        let spills = self.spilling.works(self.pieces.in_files());
        let Some(share) = self.shares.get_mut(child) else { return };
        share.forget_before(start);
        if share.of.overflow != Overflow::DropOldest {
            share.forget_before(needed);
        }
        match share.of.overflow {
            Overflow::Spill if spills => {
                let excess = share.take_excess();
                // What is on its way is still in memory: not much of it, or the child waits.
                let over = share.spilling > share.of.bytes;
                self.shares.block(child, over);
                self.spill_chunks(child, &excess);
            }
            Overflow::Block | Overflow::Spill => {
                let over = share.held > share.of.bytes;
                self.shares.block(child, over);
            }
            Overflow::DropOldest => {
                let excess = share.take_excess();
                self.each_isolated(child, &excess, |log, first| {
                    log.lose(first, Concerned::only(child));
                });
            }
        }
    }

    /// Makes pieces of their own of these chunks of a child, and gives each to `each`.
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
            done = self.pieces.covering(seq).map(|(_, piece)| piece.after);
            for first in self.pieces.isolate(seq, last, child) {
                each(self, first);
            }
        }
    }

    /// A piece is gone: a gap stands in its place.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) {
        let around = self.pieces.around(first);
        if let Some(place) = self.change(around, |pieces| pieces.lose(first, concerned)) {
            self.spilling.retire(place);
        }
    }

    /// Changes pieces in this range, and what the cursors are behind with it.
    pub(super) fn change<R>(
        &mut self,
        range: Range<Seq>,
        change: impl FnOnce(&mut Pieces) -> R,
    ) -> R {
        for cursor in self.cursors.values_mut() {
            cursor.behind -= self.pieces.cost_of(cursor.next, &range).min(cursor.behind);
        }
        let changed = change(&mut self.pieces);
        for cursor in self.cursors.values_mut() {
            cursor.behind += self.pieces.cost_of(cursor.next, &range);
        }
        changed
    }

    /// The children whose shares say that they are to be read no more (`true`) or again, since the
    /// last call.
    pub(crate) fn share_changes(&mut self) -> Vec<(ChildId, bool)> {
        let blocked: Vec<ChildId> = self.shares.blocked().iter().copied().collect();
        let (start, needed) = (self.start(), self.needed());
        blocked.into_iter().for_each(|child| self.enforce_share(child, start, needed));
        self.spilling.ring_if(self.spills());
        self.shares.take_changes()
    }

    /// Whether some child waits for its share, or has waited for it.
    pub(crate) fn shares_wait(&self) -> bool {
        self.shares.wait()
    }
}

#[cfg(test)]
#[path = "merged_properties.rs"]
mod properties;
