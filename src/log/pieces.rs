//! `Pieces`: what the log holds, in order and without a hole: turns, what a child's share has
//! dropped of them, and what went to files.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem::discriminant,
    ops::Range,
};

use smallvec::SmallVec;

use super::{
    Concerned, Entry, Fact, TurnEntries,
    totals::{ENTRY_COST, Totals},
};
use crate::{ChildId, Seq, spill::Place};

/// Where a piece's entries are. What is rare is boxed: most pieces are turns in memory, one for each
/// turn of the loop.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory.
    Here(TurnEntries),
    /// Nowhere: a gap stands in their place.
    Gone(Box<Concerned>),
    /// In a file.
    Spilled(Box<Place>),
}

/// Some entries that follow each other.
#[derive(Debug)]
pub(super) struct Piece {
    first: Seq,
    pub(super) after: Seq,
    /// The totals of everything up to its end.
    pub(super) until: Totals,
    cost: u64,
    pub(super) body: Body,
}

impl Piece {
    fn gone(first: Seq, after: Seq, until: Totals, concerned: Concerned) -> Self {
        Piece { first, after, until, cost: ENTRY_COST, body: Body::Gone(Box::new(concerned)) }
    }

    /// What it costs in memory.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }
}

/// The pieces, oldest first. In a deque, which is small and quick at its ends: what is split is
/// mostly near one of them.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Piece>,
    /// The totals of everything before the first of them.
    dropped: Totals,
    /// Those that are in files, by their first entries.
    spilled: BTreeSet<Seq>,
    /// Those that are not in memory, and how much less they cost than their entries would there.
    away: BTreeMap<Seq, u64>,
    cost: u64,
}

impl Pieces {
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn dropped(&self) -> Totals {
        self.dropped
    }

    /// Where the first piece is that begins here or later.
    fn place(&self, seq: Seq) -> usize {
        self.pieces.partition_point(|piece| piece.first < seq)
    }

    /// Where the piece is that begins exactly here.
    fn exactly(&self, first: Seq) -> Option<usize> {
        let place = self.place(first);
        (self.pieces.get(place)?.first == first).then_some(place)
    }

    /// A turn at the end.
    pub(super) fn push(&mut self, entries: TurnEntries, until: Totals) {
        let place = self.pieces.len();
        self.insert(place, here(entries, self.before(place), until));
    }

    fn insert(&mut self, place: usize, piece: Option<Piece>) {
        let Some(piece) = piece else { return };
        self.cost += piece.cost;
        if matches!(piece.body, Body::Spilled(_)) {
            self.spilled.insert(piece.first);
        }
        if !matches!(piece.body, Body::Here(_)) {
            let saved = (piece.until - self.before(place)).cost() - piece.cost;
            self.away.insert(piece.first, saved);
        }
        self.pieces.insert(place, piece);
    }

    fn remove(&mut self, place: usize) -> Option<Piece> {
        let piece = self.pieces.remove(place)?;
        self.cost -= piece.cost;
        if !matches!(piece.body, Body::Here(_)) {
            self.spilled.remove(&piece.first);
            self.away.remove(&piece.first);
        }
        Some(piece)
    }

    pub(super) fn pop_front(&mut self) -> Option<Piece> {
        let piece = self.remove(0)?;
        self.dropped = piece.until;
        Some(piece)
    }

    pub(super) fn front(&self) -> Option<(Seq, &Piece)> {
        self.pieces.front().map(|piece| (piece.first, piece))
    }

    /// The totals of everything before this piece.
    fn before(&self, place: usize) -> Totals {
        place.checked_sub(1).map_or(self.dropped, |earlier| self.pieces[earlier].until)
    }

    /// The start of the piece that holds this entry, and the totals of everything before that.
    pub(super) fn start_of(&self, seq: Seq) -> Option<(Seq, Totals)> {
        let (first, _) = self.covering(seq)?;
        Some((first, self.before(self.place(first))))
    }

    /// The piece that holds this entry.
    pub(super) fn covering(&self, seq: Seq) -> Option<(Seq, &Piece)> {
        let piece = self.pieces.get(self.place(seq.next()).checked_sub(1)?)?;
        (seq < piece.after).then_some((piece.first, piece))
    }

    /// From the piece that holds this entry on.
    pub(super) fn pieces_from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Piece)> {
        let place = self.place(seq.next()).saturating_sub(1);
        let pieces = self.pieces.range(place.min(self.pieces.len())..);
        pieces.skip_while(move |piece| piece.after <= seq).map(|piece| (piece.first, piece))
    }

    /// The pieces that begin here or later.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Piece)> {
        self.pieces.range(self.place(seq)..).map(|piece| (piece.first, piece))
    }

    /// The pieces that begin before this place, the newest first.
    pub(super) fn until(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Piece)> {
        self.pieces.range(..self.place(seq)).rev().map(|piece| (piece.first, piece))
    }

    /// What the pieces from the one that begins at `next` on cost, without a look at each of those
    /// that are in memory.
    pub(super) fn cost_from(&self, next: Seq, all: Totals) -> u64 {
        let place = self.place(next);
        let away = self.away.range(next..).map(|(_, saved)| saved);
        (all - self.before(place)).cost() - away.sum::<u64>()
    }

    /// From the piece before the one that begins at `first` to the one after it.
    pub(super) fn around(&self, first: Seq) -> Range<Seq> {
        let place = self.place(first);
        let before = place.checked_sub(1).map_or(first, |before| self.pieces[before].first);
        let last = self.pieces.get(place + 1).or(self.pieces.get(place));
        before..last.map_or(first, |piece| piece.after)
    }

    /// What the pieces in `range` cost that hold entries from `next` on.
    pub(super) fn cost_of(&self, next: Seq, range: &Range<Seq>) -> u64 {
        let pieces = self.pieces.range(self.place(range.start)..self.place(range.end));
        pieces.filter(|piece| piece.after > next).map(Piece::cost).sum()
    }

    /// How many pieces are in files.
    pub(super) fn in_files(&self) -> usize {
        self.spilled.len()
    }

    /// The first piece in a file, where it ends before this place.
    pub(super) fn spilled_before(&self, place: Seq) -> Option<Seq> {
        let first = *self.spilled.first()?;
        self.covering(first).is_some_and(|(_, piece)| piece.after <= place).then_some(first)
    }

    /// Makes pieces of their own of the child's chunks, up to the one with the number `last`, in the
    /// piece that holds `seq`, where that is in memory, and gives their first entries.
    pub(super) fn isolate(&mut self, seq: Seq, last: Seq, child: ChildId) -> SmallVec<[Seq; 4]> {
        let mut its = SmallVec::new();
        let Some((first, Piece { body: Body::Here(entries), .. })) = self.covering(seq) else {
            return its;
        };
        let entries = TurnEntries::clone(entries);
        let is_its = |entry: &Entry| {
            entry.child == child && entry.seq <= last && matches!(entry.fact, Fact::Chunk(_))
        };
        let place = self.place(first);
        let mut until = self.before(place);
        self.remove(place);
        let runs = entries.chunk_by(|one, next| is_its(one) == is_its(next));
        for (place, run) in (place..).zip(runs) {
            let before = until;
            until = until + Totals::of(run);
            its.extend(run.first().filter(|entry| is_its(entry)).map(|entry| entry.seq));
            let whole = run.len() == entries.len();
            let run = if whole { entries.clone() } else { run.into() };
            self.insert(place, here(run, before, until));
        }
        its
    }

    /// Makes one gap of a piece and its neighbours. Gives the piece.
    pub(super) fn lose(&mut self, first: Seq, mut concerned: Concerned) -> Option<Piece> {
        let mut place = self.exactly(first)?;
        let lost = self.remove(place)?;
        let (mut start, mut after, mut until) = (first, lost.after, lost.until);
        if let Some(before) = place.checked_sub(1)
            && let Some((earlier, of)) = self.take_gap(before, &concerned)
        {
            (place, start, concerned) = (before, earlier.first, of.and(concerned));
        }
        if let Some((later, of)) = self.take_gap(place, &concerned) {
            (after, until, concerned) = (later.after, later.until, concerned.and(of));
        }
        self.insert(place, Some(Piece::gone(start, after, until, concerned)));
        Some(lost)
    }

    /// Takes a gap that can be joined with one of these: what is some children's stays theirs.
    fn take_gap(&mut self, place: usize, with: &Concerned) -> Option<(Piece, Concerned)> {
        let Body::Gone(of) = &self.pieces.get(place)?.body else { return None };
        if discriminant(&**of) != discriminant(with) {
            return None;
        }
        let of = Concerned::clone(of);
        Some((self.remove(place)?, of))
    }

    /// Makes one piece of those from `first` to `after`, whose entries are now in this place. Not
    /// where some of them have changed meanwhile.
    pub(super) fn spilled(&mut self, first: Seq, after: Seq, mut at: Place) -> bool {
        let Some(place) = self.exactly(first) else { return false };
        let end = self.place(after);
        let is_here = |piece: &Piece| matches!(piece.body, Body::Here(_));
        let same = self.pieces.range(place..end).all(is_here);
        let Some(until) = self.pieces.get(end.wrapping_sub(1)).filter(|it| it.after == after)
        else {
            return false;
        };
        if !same {
            return false;
        }
        let until = until.until;
        for _ in place..end {
            self.remove(place);
        }
        let (mut first, mut place) = (first, place);
        // One that goes on where the piece before it ends, in the log and in the file, joins it.
        if let Some(before) = place.checked_sub(1)
            && let Body::Spilled(earlier) = &self.pieces[before].body
            && let Some(both) = earlier.with_next(&at)
        {
            (at, place, first) = (both, before, self.pieces[before].first);
            self.remove(before);
        }
        let body = Body::Spilled(Box::new(at));
        // Those in files are bounded by their number.
        self.insert(place, Some(Piece { first, after, until, cost: 0, body }));
        true
    }
}

fn here(entries: TurnEntries, before: Totals, until: Totals) -> Option<Piece> {
    let (first, after) = (entries.first()?.seq, entries.last()?.seq.next());
    let cost = (until - before).cost();
    Some(Piece { first, after, until, cost, body: Body::Here(entries) })
}
