//! `Pieces`: what the log holds, in order and without a hole: turns, what a child's share has
//! dropped of them, and what went to files.

use std::{collections::BTreeMap, ops::Range};

use smallvec::SmallVec;

use super::{
    Concerned, Entry, Fact, TurnEntries,
    totals::{ENTRY_COST, Totals},
};
use crate::{ChildId, Seq, spill::Place};

/// Where a piece's entries are.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory.
    Here(TurnEntries),
    /// Nowhere: a gap stands in their place.
    Gone(Concerned),
    /// In a file.
    Spilled(Place),
}

/// Some entries that follow each other.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) after: Seq,
    /// The totals of the piece itself.
    holds: Totals,
    /// The totals of everything up to its end.
    pub(super) until: Totals,
    pub(super) body: Body,
}

impl Piece {
    /// The totals of everything before it.
    pub(super) fn before(&self) -> Totals {
        self.until - self.holds
    }

    /// What it costs in memory.
    pub(super) fn cost(&self) -> u64 {
        match self.body {
            Body::Here(_) => self.holds.cost(),
            Body::Gone(_) | Body::Spilled(_) => ENTRY_COST,
        }
    }
}

/// The pieces by their first entries.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    by_first: BTreeMap<Seq, Piece>,
    cost: u64,
}

impl Pieces {
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn push(&mut self, entries: TurnEntries, holds: Totals, until: Totals) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        let (first, after) = (first.seq, last.seq.next());
        self.insert(first, Piece { after, holds, until, body: Body::Here(entries) });
    }

    fn insert(&mut self, first: Seq, piece: Piece) {
        self.cost += piece.cost();
        self.by_first.insert(first, piece);
    }

    pub(super) fn remove(&mut self, first: Seq) -> Option<Piece> {
        let piece = self.by_first.remove(&first)?;
        self.cost -= piece.cost();
        Some(piece)
    }

    pub(super) fn front(&self) -> Option<(Seq, &Piece)> {
        self.by_first.first_key_value().map(|(first, piece)| (*first, piece))
    }

    /// The piece that holds this entry.
    pub(super) fn covering(&self, seq: Seq) -> Option<(Seq, &Piece)> {
        let (first, piece) = self.by_first.range(..=seq).next_back()?;
        (seq < piece.after).then_some((*first, piece))
    }

    /// The pieces that begin here or later.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Piece)> {
        self.by_first.range(seq..).map(|(first, piece)| (*first, piece))
    }

    /// From the piece before the one that begins at `first` to the one after it.
    pub(super) fn around(&self, first: Seq) -> Range<Seq> {
        let before = self.by_first.range(..first).next_back().map_or(first, |(before, _)| *before);
        let mut later = self.by_first.range(first..);
        let own = later.next().map_or(first, |(_, piece)| piece.after);
        before..later.next().map_or(own, |(_, piece)| piece.after)
    }

    /// What the pieces in `range` cost that hold entries from `next` on.
    pub(super) fn cost_of(&self, next: Seq, range: &Range<Seq>) -> u64 {
        let pieces = self.by_first.range(range.clone()).map(|(_, piece)| piece);
        pieces.filter(|piece| piece.after > next).map(Piece::cost).sum()
    }

    /// The entries that are in memory.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let here = self.by_first.values().filter_map(|piece| match &piece.body {
            Body::Here(entries) => Some(entries.iter()),
            Body::Gone(_) | Body::Spilled(_) => None,
        });
        here.flatten()
    }

    /// Makes pieces of their own of the child's chunks, up to the one with the number `last`, in the
    /// piece that holds `seq`, where that is in memory, and gives their first entries.
    pub(super) fn isolate(&mut self, seq: Seq, last: Seq, child: ChildId) -> SmallVec<[Seq; 4]> {
        let mut its = SmallVec::new();
        let Some((first, Piece { body: Body::Here(entries), until, holds, .. })) =
            self.covering(seq)
        else {
            return its;
        };
        let (entries, mut until) = (TurnEntries::clone(entries), *until - *holds);
        self.remove(first);
        let is_its = |entry: &Entry| {
            entry.child == child && entry.seq <= last && matches!(entry.fact, Fact::Chunk(_))
        };
        for run in entries.chunk_by(|one, next| is_its(one) == is_its(next)) {
            let holds = Totals::of(run);
            until = until + holds;
            if is_its(&run[0]) {
                its.push(run[0].seq);
            }
            let whole = run.len() == entries.len();
            self.push(if whole { entries.clone() } else { run.into() }, holds, until);
        }
        its
    }

    /// Forgets what a piece holds, and makes one gap of it and its neighbours.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) {
        let Some(piece) = self.remove(first) else { return };
        let mut gap = (first, Piece { body: Body::Gone(concerned), ..piece });
        let before = self.by_first.range(..first).next_back().map(|(before, _)| *before);
        if let Some(before) = before
            && let Some(earlier) = self.take_gap(before)
        {
            gap = join((before, earlier), gap);
        }
        if let Some(later) = self.take_gap(gap.1.after) {
            let after = gap.1.after;
            gap = join(gap, (after, later));
        }
        self.insert(gap.0, gap.1);
    }

    fn take_gap(&mut self, first: Seq) -> Option<Piece> {
        let gone = matches!(self.by_first.get(&first)?.body, Body::Gone(_));
        if gone { self.remove(first) } else { None }
    }

    /// Makes one piece of those from `first` to `after`, whose entries are now in this place. Not
    /// where some of them have changed meanwhile.
    pub(super) fn spilled(&mut self, first: Seq, after: Seq, place: Place) -> bool {
        let mut next = first;
        let mut holds = Totals::default();
        for (_, piece) in self.by_first.range(first..after) {
            if !matches!(piece.body, Body::Here(_)) {
                return false;
            }
            (next, holds) = (piece.after, holds + piece.holds);
        }
        let Some((_, last)) = self.by_first.range(..after).next_back() else { return false };
        if next != after || !self.by_first.contains_key(&first) {
            return false;
        }
        let until = last.until;
        let pieces: Vec<Seq> = self.by_first.range(first..after).map(|(seq, _)| *seq).collect();
        for piece in pieces {
            self.remove(piece);
        }
        self.insert(first, Piece { after, holds, until, body: Body::Spilled(place) });
        true
    }
}

/// Two gaps that follow each other.
fn join((first, one): (Seq, Piece), (_, next): (Seq, Piece)) -> (Seq, Piece) {
    let concerned = match (one.body, next.body) {
        (Body::Gone(one), Body::Gone(next)) => one.and(next),
        _ => Concerned::Anyone,
    };
    let holds = one.holds + next.holds;
    (first, Piece { holds, body: Body::Gone(concerned), ..next })
}
