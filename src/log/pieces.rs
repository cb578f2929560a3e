//! `Pieces`: what the log holds, in order and without a hole: turns, what a child's share has
//! dropped of them, and what went to files.

use std::{collections::BTreeSet, mem::discriminant, ops::Range};

use smallvec::SmallVec;

use super::{
    Concerned, Entry, Fact, TurnEntries,
    blocks::Blocks,
    totals::{ENTRY_COST, Totals},
};
use crate::{ChildId, Seq, log::spill::Place};

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
    pub(super) first: Seq,
    pub(super) after: Seq,
    /// The totals of everything up to its end.
    pub(super) until: Totals,
    cost: u64,
    pub(super) body: Body,
}

impl Piece {
    pub(super) fn gone(first: Seq, after: Seq, until: Totals, concerned: Concerned) -> Self {
        let cost = ENTRY_COST + concerned.cost();
        Piece { first, after, until, cost, body: Body::Gone(Box::new(concerned)) }
    }

    /// What it costs in memory.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }
}

/// The pieces, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    blocks: Blocks,
    /// The totals of everything before the first of them.
    dropped: Totals,
    /// Those that are in files, by their first entries.
    spilled: BTreeSet<Seq>,
}

impl Pieces {
    pub(super) fn cost(&self) -> u64 {
        self.blocks.cost()
    }

    pub(super) fn dropped(&self) -> Totals {
        self.dropped
    }

    /// A turn at the end.
    pub(super) fn push(&mut self, entries: TurnEntries, until: Totals) {
        let before = self.blocks.back().map_or(self.dropped, |last| last.until);
        here(entries, before, until).into_iter().for_each(|piece| self.blocks.push(piece));
    }

    pub(super) fn pop_front(&mut self) -> Option<Piece> {
        let piece = self.blocks.pop_front()?;
        self.dropped = piece.until;
        self.forget(&piece);
        Some(piece)
    }

    pub(super) fn front(&self) -> Option<&Piece> {
        self.blocks.front()
    }

    fn forget(&mut self, piece: &Piece) {
        if matches!(piece.body, Body::Spilled(_)) {
            self.spilled.remove(&piece.first);
        }
    }

    /// Puts these in the place of the pieces that begin in `range`. Gives those.
    fn replace(&mut self, range: Range<Seq>, with: impl IntoIterator<Item = Piece>) -> Vec<Piece> {
        let replaced = self.blocks.replace(range, with);
        replaced.iter().for_each(|piece| self.forget(piece));
        replaced
    }

    /// The totals of everything before the piece that begins here.
    fn before(&self, first: Seq) -> Totals {
        self.until(first).next().map_or(self.dropped, |earlier| earlier.until)
    }

    /// The start of the piece that holds this entry, and the totals of everything before that.
    pub(super) fn start_of(&self, seq: Seq) -> Option<(Seq, Totals)> {
        let first = self.covering(seq)?.first;
        Some((first, self.before(first)))
    }

    /// The piece that holds this entry.
    pub(super) fn covering(&self, seq: Seq) -> Option<&Piece> {
        self.until(seq.next()).next().filter(|piece| seq < piece.after)
    }

    /// The piece that begins exactly here.
    fn exactly(&self, first: Seq) -> Option<&Piece> {
        self.from(first).next().filter(|piece| piece.first == first)
    }

    /// From the piece that holds this entry on.
    pub(super) fn pieces_from(&self, seq: Seq) -> impl Iterator<Item = &Piece> {
        self.from(self.covering(seq).map_or(seq, |piece| piece.first))
    }

    /// The pieces that begin here or later.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = &Piece> {
        self.blocks.from(seq)
    }

    /// The pieces that begin before this place, the newest first.
    pub(super) fn until(&self, seq: Seq) -> impl Iterator<Item = &Piece> {
        self.blocks.before(seq)
    }

    /// What the pieces that hold entries from here on cost.
    pub(super) fn cost_from(&self, seq: Seq) -> u64 {
        self.blocks.cost_from(self.covering(seq).map_or(seq, |piece| piece.first))
    }

    /// How many pieces are in files.
    pub(super) fn in_files(&self) -> usize {
        self.spilled.len()
    }

    /// The first piece in a file, where it ends before this place.
    pub(super) fn spilled_before(&self, place: Seq) -> Option<Seq> {
        let first = *self.spilled.first()?;
        self.covering(first).is_some_and(|piece| piece.after <= place).then_some(first)
    }

    /// Makes pieces of their own of the child's chunks, up to the one with the number `last`, in the
    /// piece that holds `seq`, where that is in memory, and gives their first entries.
    pub(super) fn isolate(&mut self, seq: Seq, last: Seq, child: ChildId) -> SmallVec<[Seq; 4]> {
        let mut its = SmallVec::new();
        let Some(Piece { first, after, body: Body::Here(entries), .. }) = self.covering(seq) else {
            return its;
        };
        let is_its = |entry: &Entry| {
            entry.child == child && entry.seq <= last && matches!(entry.fact, Fact::Chunk(_))
        };
        let range = *first..*after;
        if entries.iter().all(is_its) {
            its.push(range.start);
            return its;
        }
        let entries = TurnEntries::clone(entries);
        let mut until = self.before(range.start);
        let runs = entries.chunk_by(|one, next| is_its(one) == is_its(next)).filter_map(|run| {
            let before = until;
            until = until + Totals::of(run);
            its.extend(run.first().filter(|entry| is_its(entry)).map(|entry| entry.seq));
            here(run.into(), before, until)
        });
        self.replace(range, runs);
        its
    }

    /// Makes one gap of a piece and its neighbours. Gives the piece.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) -> Option<Piece> {
        // What is some children's stays theirs.
        let joins = |piece: &&Piece| matches!(&piece.body, Body::Gone(of) if discriminant(&**of) == discriminant(&concerned));
        let piece = self.exactly(first)?;
        let start = self.until(first).next().filter(joins).map_or(first, |piece| piece.first);
        let later = self.from(piece.after).next().filter(joins);
        let (after, until) = later.map_or((piece.after, piece.until), |it| (it.after, it.until));
        let (mut concerned, mut lost) = (concerned, None);
        for piece in self.replace(start..after, None) {
            match piece.body {
                Body::Gone(of) if piece.first != first => concerned = concerned.and(*of),
                Body::Gone(_) | Body::Here(_) | Body::Spilled(_) => lost = Some(piece),
            }
        }
        self.replace(start..after, Some(Piece::gone(start, after, until, concerned)));
        lost
    }

    /// Makes one piece of those from `first` to `after`, whose entries are now in this place. Not
    /// where some of them have changed meanwhile.
    pub(super) fn spilled(&mut self, first: Seq, after: Seq, mut at: Place, most: u64) -> bool {
        let (mut end, mut until) = (first, self.before(first));
        for piece in self.from(first).take_while(|piece| piece.first < after) {
            if piece.first != end || !matches!(piece.body, Body::Here(_)) {
                return false;
            }
            (end, until) = (piece.after, piece.until);
        }
        if end != after {
            return false;
        }
        // One that goes on where the piece before it ends, in the log and in the file, joins it.
        let mut start = first;
        if let Some(Piece { first: before, body: Body::Spilled(earlier), .. }) =
            self.until(first).next()
            && (until - self.before(*before)).cost() <= most
            && let Some(both) = earlier.with_next(&at)
        {
            (at, start) = (both, *before);
        }
        let body = Body::Spilled(Box::new(at));
        // Those in files are bounded by their number. Who wrote the turns has them still, and frees
        // them when the log is not locked.
        self.replace(start..after, Some(Piece { first: start, after, until, cost: 0, body }));
        self.spilled.insert(start);
        true
    }
}

fn here(entries: TurnEntries, before: Totals, until: Totals) -> Option<Piece> {
    let (first, after) = (entries.first()?.seq, entries.last()?.seq.next());
    let cost = (until - before).cost();
    Some(Piece { first, after, until, cost, body: Body::Here(entries) })
}
