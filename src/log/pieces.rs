//! `Pieces`: what the log holds, in order and without a hole: turns, what a child's share has
//! dropped of them, and what went to files.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
    ops::Range,
};

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
            Body::Gone(_) => ENTRY_COST,
            // These are bounded by their number.
            Body::Spilled(_) => 0,
        }
    }
}

/// The pieces by their first entries.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    by_first: BTreeMap<Seq, Piece>,
    /// Those that are in files.
    spilled: BTreeSet<Seq>,
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
        if matches!(piece.body, Body::Spilled(_)) {
            self.spilled.insert(first);
        }
        self.by_first.insert(first, piece);
    }

    pub(super) fn remove(&mut self, first: Seq) -> Option<Piece> {
        let piece = self.by_first.remove(&first)?;
        self.cost -= piece.cost();
        self.spilled.remove(&first);
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

    /// How many pieces are in files.
    pub(super) fn in_files(&self) -> usize {
        self.spilled.len()
    }

    /// The first piece in a file, where it ends before this place.
    pub(super) fn spilled_before(&self, place: Seq) -> Option<Seq> {
        let first = *self.spilled.first()?;
        self.by_first.get(&first).is_some_and(|piece| piece.after <= place).then_some(first)
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

    /// Forgets what a piece holds, and makes one gap of it and its neighbours. Gives the place where
    /// it was, if that was in a file.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) -> Option<Place> {
        let lost = self.remove(first)?;
        let (mut start, mut after, mut holds, mut until) =
            (first, lost.after, lost.holds, lost.until);
        let mut concerned = concerned;
        let before = self.by_first.range(..first).next_back().map(|(before, _)| *before);
        if let Some(before) = before
            && let Some((earlier, of)) = self.take_gap(before, &concerned)
        {
            (start, holds, concerned) = (before, earlier.holds + holds, of.and(concerned));
        }
        if let Some((later, of)) = self.take_gap(after, &concerned) {
            (after, until) = (later.after, later.until);
            (holds, concerned) = (holds + later.holds, concerned.and(of));
        }
        self.insert(start, Piece { after, holds, until, body: Body::Gone(concerned) });
        match lost.body {
            Body::Spilled(place) => Some(place),
            Body::Here(_) | Body::Gone(_) => None,
        }
    }

    /// Takes a gap that can be joined with one of these: what is some children's stays theirs.
    fn take_gap(&mut self, first: Seq, with: &Concerned) -> Option<(Piece, Concerned)> {
        let Body::Gone(of) = &self.by_first.get(&first)?.body else { return None };
        if discriminant(of) != discriminant(with) {
            return None;
        }
        let of = of.clone();
        Some((self.remove(first)?, of))
    }

    /// The pieces, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Piece> {
        self.by_first.values()
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
        let (mut first, mut place) = (first, place);
        // One that goes on where the piece before it ends, in the log and in the file, joins it.
        if let Some((before, earlier)) = self.by_first.range(..first).next_back()
            && let Body::Spilled(at) = &earlier.body
            && let Some(both) = at.with_next(&place)
        {
            (holds, place, first) = (earlier.holds + holds, both, *before);
            self.remove(first);
        }
        self.insert(first, Piece { after, holds, until, body: Body::Spilled(place) });
        true
    }
}
