//! The log's side of spilling: what is to go to files, what is to come back, what nobody needs any
//! more. It only queues; the spill thread does the work, and is rung for it.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use super::{Concerned, CursorId, MergedLog, Overflow, TurnEntries, cursors::Cursor, pieces::Body};
use crate::{ChildId, Seq, spill::Place};

/// So much goes to a file at a time.
const WRITE_COST: u64 = 1024 * 1024;

/// Something for the spill thread to do.
#[derive(Debug)]
pub(crate) enum SpillWork {
    /// Nobody needs these any more.
    Forget(Vec<Place>),
    /// A cursor waits for the piece that begins here.
    Load(CursorId, Seq, Place),
    /// To be written.
    Write(SpillWrite),
}

/// Turns that are to go to a file.
#[derive(Debug)]
pub(crate) struct SpillWrite {
    first: Seq,
    after: Seq,
    pub(crate) turns: Vec<TurnEntries>,
    /// The share that they are counted for, and their cost.
    share: Option<(ChildId, u64)>,
}

/// What is queued for the spill thread.
#[derive(Debug, Default)]
pub(super) struct Spilling {
    bell: Option<Sender<()>>,
    /// The files take more.
    writes: bool,
    full: bool,
    /// There is no thread any more: who reads loads.
    ended: bool,
    /// Pieces that are over a child's share, by their first entries, and what they cost.
    chunks: VecDeque<(ChildId, Seq, u64)>,
    loads: VecDeque<(CursorId, Seq, Place)>,
    forgotten: Vec<Place>,
    /// A piece that who read it could not load.
    pub(super) unreadable: Option<Seq>,
}

impl Spilling {
    pub(super) fn works(&self) -> bool {
        self.bell.is_some() && self.writes && !self.full
    }

    pub(super) fn retire(&mut self, place: Place) {
        if self.bell.is_some() {
            self.forgotten.push(place);
        }
    }

    /// Rings where there is something to do.
    pub(super) fn ring_if(&self, writes: bool) {
        if let Some(bell) = &self.bell
            && (writes || !self.loads.is_empty() || !self.forgotten.is_empty())
        {
            // It is rung already, or the thread has gone.
            let _ = bell.try_send(());
        }
    }

    /// Whether the piece is loaded for the cursor; asks for it where it is not.
    pub(super) fn fetch(
        &mut self,
        id: CursorId,
        cursor: &mut Cursor,
        first: Seq,
        place: &Place,
    ) -> bool {
        if cursor.has_loaded(first) {
            return true;
        }
        if self.ended {
            match place.load() {
                Ok(turns) => cursor.loaded = Some((first, turns)),
                Err(error) => {
                    tracing::error!(%error, "what went to a file cannot be read: it is a gap");
                    self.unreadable = Some(first);
                }
            }
            return true;
        }
        if !cursor.loading {
            cursor.loading = true;
            self.loads.push_back((id, first, place.clone()));
            self.ring_if(false);
        }
        false
    }
}

impl MergedLog {
    /// From now on there is a spill thread, which this rings.
    pub(crate) fn spill_with(&mut self, bell: Sender<()>) {
        (self.spilling.bell, self.spilling.writes) = (Some(bell), true);
    }

    /// Whether something is to go to a file.
    pub(super) fn spills(&self) -> bool {
        self.spilling.works()
            && (!self.spilling.chunks.is_empty()
                || (self.overflow == Overflow::Spill && self.behind() > self.bound / 2))
    }

    /// Lets these chunks of a child go to a file.
    pub(super) fn spill_chunks(&mut self, child: ChildId, chunks: &[Seq]) {
        self.each_isolated(child, chunks, |log, first| {
            let Some((_, piece)) = log.pieces.covering(first) else { return };
            let cost = piece.cost();
            log.spilling.chunks.push_back((child, first, cost));
            if let Some(share) = log.shares.get_mut(child) {
                share.spilling += cost;
            }
        });
    }

    /// For the spill thread: what to do next.
    pub(crate) fn spill_work(&mut self) -> Option<SpillWork> {
        if !self.spilling.forgotten.is_empty() {
            self.spilling.full = false;
            return Some(SpillWork::Forget(std::mem::take(&mut self.spilling.forgotten)));
        }
        if let Some((id, first, place)) = self.spilling.loads.pop_front() {
            return Some(SpillWork::Load(id, first, place));
        }
        if !self.spills() {
            return None;
        }
        let needed = self.needed();
        while let Some((child, first, cost)) = self.spilling.chunks.pop_front() {
            if let Some((_, piece)) = self.pieces.covering(first)
                && let Body::Here(turn) = &piece.body
                && piece.after > needed
            {
                let (after, turns) = (piece.after, vec![TurnEntries::clone(turn)]);
                let share = Some((child, cost));
                return Some(SpillWork::Write(SpillWrite { first, after, turns, share }));
            }
            self.no_longer_spilling(Some((child, cost)));
        }
        self.oldest_turns(needed).map(SpillWork::Write)
    }

    /// The oldest turns in memory that are needed.
    fn oldest_turns(&self, needed: Seq) -> Option<SpillWrite> {
        if self.overflow != Overflow::Spill || self.behind() <= self.bound / 2 {
            return None;
        }
        let here = |body: &Body| matches!(body, Body::Here(_));
        let mut pieces = self.pieces.from(needed).skip_while(|(_, piece)| !here(&piece.body));
        let (first, _) = pieces.next()?;
        let (mut after, mut turns, mut cost) = (first, Vec::new(), 0);
        for (_, piece) in self.pieces.from(first) {
            let Body::Here(turn) = &piece.body else { break };
            turns.push(TurnEntries::clone(turn));
            (after, cost) = (piece.after, cost + piece.cost());
            if cost >= WRITE_COST {
                break;
            }
        }
        Some(SpillWrite { first, after, turns, share: None })
    }

    /// For the spill thread: the turns are in this place.
    pub(crate) fn spilled(&mut self, write: &SpillWrite, place: Place) {
        let SpillWrite { first, after, .. } = *write;
        let own = place.clone();
        if !self.change(first..after, |pieces| pieces.spilled(first, after, own)) {
            self.spilling.retire(place);
        }
        self.no_longer_spilling(write.share);
        self.trim();
    }

    fn no_longer_spilling(&mut self, share: Option<(ChildId, u64)>) {
        if let Some((child, cost)) = share
            && let Some(share) = self.shares.get_mut(child)
        {
            share.spilling = share.spilling.saturating_sub(cost);
        }
    }

    /// For the spill thread: the files are as full as they may be, until something is forgotten.
    /// What was to be written stays where it is.
    pub(crate) fn spill_is_full(&mut self, write: &SpillWrite) {
        self.spilling.full = true;
        if let Some((child, cost)) = write.share {
            self.spilling.chunks.push_front((child, write.first, cost));
        }
    }

    /// For the spill thread: nothing can be written any more; [`Overflow::Block`] is in force.
    pub(crate) fn spill_failed(&mut self) {
        self.spilling.writes = false;
        for (child, _, cost) in std::mem::take(&mut self.spilling.chunks) {
            self.no_longer_spilling(Some((child, cost)));
        }
    }

    /// For the spill thread: what a cursor waits for, or a gap where it cannot be had.
    pub(crate) fn spill_loaded(
        &mut self,
        id: CursorId,
        first: Seq,
        turns: Option<Vec<TurnEntries>>,
    ) {
        if turns.is_none() {
            self.lose(first, Concerned::Anyone);
        }
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        cursor.loading = false;
        cursor.loaded = turns.map(|turns| (first, turns));
        if let Some(waker) = cursor.waker.take() {
            waker.wake();
        }
    }

    /// There is no spill thread any more: whoever reads loads what it needs.
    pub(crate) fn spill_no_more(&mut self) {
        self.spill_failed();
        self.spilling.ended = true;
        self.spilling.bell = None;
        self.spilling.loads.clear();
        self.spilling.forgotten.clear();
        for cursor in self.cursors.values_mut() {
            cursor.loading = false;
            if let Some(waker) = cursor.waker.take() {
                waker.wake();
            }
        }
    }
}
