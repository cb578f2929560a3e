//! `Spans`: what the log holds, in order and without a hole: turns in memory, gaps that quotas
//! left, and file ranges.

use std::{collections::BTreeSet, mem::discriminant, ops::Range};

use smallvec::SmallVec;

use super::{
    Concerned, Entry, Fact, TurnEntries,
    blocks::Blocks,
    totals::{ENTRY_COST, Totals},
};
use crate::{ChildId, Seq, log::spill::SpillRef};

/// Where a span's entries are. The rare variants are boxed: most spans are turns in memory, one for
/// each turn of the read loop.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory.
    InMemory(TurnEntries),
    /// Nowhere: a gap takes their place.
    Dropped(Box<Concerned>),
    /// In a file.
    OnDisk(Box<SpillRef>),
}

/// Consecutive entries.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) first: Seq,
    pub(super) after: Seq,
    /// The totals of everything up to the span's end.
    pub(super) until: Totals,
    cost: u64,
    pub(super) body: Body,
}

impl Span {
    pub(super) fn dropped(first: Seq, after: Seq, until: Totals, concerned: Concerned) -> Self {
        let cost = ENTRY_COST + concerned.cost();
        Span { first, after, until, cost, body: Body::Dropped(Box::new(concerned)) }
    }

    /// Its cost in memory.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }
}

/// The spans, oldest first.
#[derive(Debug, Default)]
pub(super) struct Spans {
    blocks: Blocks,
    /// The totals of everything before the first span.
    dropped: Totals,
    /// The first entries of the spans that are in files.
    spilled: BTreeSet<Seq>,
}

impl Spans {
    pub(super) fn cost(&self) -> u64 {
        self.blocks.cost()
    }

    pub(super) fn dropped(&self) -> Totals {
        self.dropped
    }

    /// Appends a turn.
    pub(super) fn push(&mut self, entries: TurnEntries, until: Totals) {
        let before = self.blocks.back().map_or(self.dropped, |last| last.until);
        in_memory(entries, before, until).into_iter().for_each(|span| self.blocks.push(span));
    }

    pub(super) fn pop_front(&mut self) -> Option<Span> {
        let span = self.blocks.pop_front()?;
        self.dropped = span.until;
        self.forget(&span);
        Some(span)
    }

    pub(super) fn front(&self) -> Option<&Span> {
        self.blocks.front()
    }

    fn forget(&mut self, span: &Span) {
        if matches!(span.body, Body::OnDisk(_)) {
            self.spilled.remove(&span.first);
        }
    }

    /// Replaces the spans that begin in `range` by these. Returns the old ones.
    fn replace(&mut self, range: Range<Seq>, with: impl IntoIterator<Item = Span>) -> Vec<Span> {
        let replaced = self.blocks.replace(range, with);
        replaced.iter().for_each(|span| self.forget(span));
        replaced
    }

    /// The totals of everything before the span that begins here.
    fn before(&self, first: Seq) -> Totals {
        self.until(first).next().map_or(self.dropped, |earlier| earlier.until)
    }

    /// The start of the span that holds this entry, and the totals of everything before that.
    pub(super) fn start_of(&self, seq: Seq) -> Option<(Seq, Totals)> {
        let first = self.covering(seq)?.first;
        Some((first, self.before(first)))
    }

    /// The span that holds this entry.
    pub(super) fn covering(&self, seq: Seq) -> Option<&Span> {
        self.until(seq.next()).next().filter(|span| seq < span.after)
    }

    /// The span that begins exactly here.
    fn exactly(&self, first: Seq) -> Option<&Span> {
        self.from(first).next().filter(|span| span.first == first)
    }

    /// The spans from the one that holds this entry on.
    pub(super) fn covering_from(&self, seq: Seq) -> impl Iterator<Item = &Span> {
        self.from(self.covering(seq).map_or(seq, |span| span.first))
    }

    /// The spans that begin here or later.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = &Span> {
        self.blocks.from(seq)
    }

    /// The spans that begin before this place, the newest first.
    pub(super) fn until(&self, seq: Seq) -> impl Iterator<Item = &Span> {
        self.blocks.before(seq)
    }

    /// The cost of the spans that hold entries from here on.
    pub(super) fn cost_from(&self, seq: Seq) -> u64 {
        self.blocks.cost_from(self.covering(seq).map_or(seq, |span| span.first))
    }

    /// How many spans are in files.
    pub(super) fn in_files(&self) -> usize {
        self.spilled.len()
    }

    /// The first span in a file, if it ends before this position.
    pub(super) fn spilled_before(&self, place: Seq) -> Option<Seq> {
        let first = *self.spilled.first()?;
        self.covering(first).is_some_and(|span| span.after <= place).then_some(first)
    }

    /// Splits the in-memory span that holds `seq` so that each run of the child's chunks up to
    /// `last` is its own span. Returns the runs' first entries.
    pub(super) fn isolate(&mut self, seq: Seq, last: Seq, child: ChildId) -> SmallVec<[Seq; 4]> {
        let mut its = SmallVec::new();
        let Some(Span { first, after, body: Body::InMemory(entries), .. }) = self.covering(seq)
        else {
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
            in_memory(run.into(), before, until)
        });
        self.replace(range, runs);
        its
    }

    /// Makes a span and the gaps beside it one gap. Returns the span.
    pub(super) fn lose(&mut self, first: Seq, concerned: Concerned) -> Option<Span> {
        // A gap that concerns only some children does not join one that may concern any child.
        let joins = |span: &&Span| matches!(&span.body, Body::Dropped(of) if discriminant(&**of) == discriminant(&concerned));
        let span = self.exactly(first)?;
        let start = self.until(first).next().filter(joins).map_or(first, |span| span.first);
        let later = self.from(span.after).next().filter(joins);
        let (after, until) = later.map_or((span.after, span.until), |it| (it.after, it.until));
        let (mut concerned, mut lost) = (concerned, None);
        for span in self.replace(start..after, None) {
            match span.body {
                Body::Dropped(of) if span.first != first => concerned = concerned.and(*of),
                Body::Dropped(_) | Body::InMemory(_) | Body::OnDisk(_) => lost = Some(span),
            }
        }
        self.replace(start..after, Some(Span::dropped(start, after, until, concerned)));
        lost
    }

    /// Replaces the spans from `first` to `after` by one span in this file range. Returns false if
    /// some of them have changed meanwhile.
    pub(super) fn spilled(&mut self, first: Seq, after: Seq, mut at: SpillRef, most: u64) -> bool {
        let (mut end, mut until) = (first, self.before(first));
        for span in self.from(first).take_while(|span| span.first < after) {
            if span.first != end || !matches!(span.body, Body::InMemory(_)) {
                return false;
            }
            (end, until) = (span.after, span.until);
        }
        if end != after {
            return false;
        }
        // If the span before it ends here, in the log and in the file, both become one.
        let mut start = first;
        if let Some(Span { first: before, body: Body::OnDisk(earlier), .. }) =
            self.until(first).next()
            && (until - self.before(*before)).cost() <= most
            && let Some(both) = earlier.with_next(&at)
        {
            (at, start) = (both, *before);
        }
        let body = Body::OnDisk(Box::new(at));
        // Cost 0: spans in files are bounded by their number. The spill thread still holds the
        // turns and frees them while the log is not locked.
        self.replace(start..after, Some(Span { first: start, after, until, cost: 0, body }));
        self.spilled.insert(start);
        true
    }
}

fn in_memory(entries: TurnEntries, before: Totals, until: Totals) -> Option<Span> {
    let (first, after) = (entries.first()?.seq, entries.last()?.seq.next());
    let cost = (until - before).cost();
    Some(Span { first, after, until, cost, body: Body::InMemory(entries) })
}
