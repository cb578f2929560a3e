//! `Blocks`: the log's spans in order, in blocks of bounded length: a change in the middle moves at
//! most one block, and the cost of a range is summed by blocks.

use std::{collections::VecDeque, ops::Range};

use super::spans::Span;
use crate::Seq;

/// Most spans in a block. Two neighbours together hold more than half of this.
const MOST: usize = 256;

/// A block that is shrunk keeps up to this much spare capacity.
const SPARE: usize = 16;

/// Consecutive spans: at least one.
#[derive(Debug, Default)]
struct Block {
    spans: VecDeque<Span>,
    cost: u64,
}

impl Block {
    fn begins_before(&self, seq: Seq) -> bool {
        self.spans.front().is_some_and(|span| span.first < seq)
    }

    fn push(&mut self, span: Span) {
        self.cost += span.cost();
        self.spans.push_back(span);
    }

    fn split_off(&mut self, place: usize) -> Block {
        let spans = self.spans.split_off(place);
        let cost = cost_of(&spans);
        self.cost -= cost;
        Block { spans, cost }
    }

    fn append(&mut self, mut later: Block) {
        self.cost += later.cost;
        self.spans.append(&mut later.spans);
    }

    /// Moves these spans into `into` and returns their cost.
    fn drain(&mut self, places: Range<usize>, into: &mut Vec<Span>) -> u64 {
        let cost = cost_of(self.spans.range(places.clone()));
        into.extend(self.spans.drain(places));
        self.cost -= cost;
        cost
    }
}

/// All spans, oldest first.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: VecDeque<Block>,
    cost: u64,
}

/// The position of a span; it can also be just behind the last span of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    block: usize,
    place: usize,
}

impl Blocks {
    /// The cost of all spans.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn push(&mut self, span: Span) {
        self.cost += span.cost();
        match self.blocks.back_mut().filter(|block| block.spans.len() < MOST) {
            Some(block) => block.push(span),
            None => {
                let mut block = Block::default();
                block.push(span);
                self.blocks.push_back(block);
            }
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Span> {
        let block = self.blocks.front_mut()?;
        let span = block.spans.pop_front()?;
        block.cost -= span.cost();
        self.cost -= span.cost();
        if block.spans.is_empty() {
            self.blocks.pop_front();
        }
        Some(span)
    }

    pub(super) fn front(&self) -> Option<&Span> {
        self.blocks.front()?.spans.front()
    }

    pub(super) fn back(&self) -> Option<&Span> {
        self.blocks.back()?.spans.back()
    }

    /// The position of the first span that begins here or later.
    fn at(&self, seq: Seq) -> At {
        let blocks = self.blocks.partition_point(|block| block.begins_before(seq));
        let Some(block) = blocks.checked_sub(1) else { return At { block: 0, place: 0 } };
        let spans = &self.blocks[block].spans;
        At { block, place: spans.partition_point(|span| span.first < seq) }
    }

    /// The spans that begin here or later.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = &Span> {
        let At { block, place } = self.at(seq);
        let mut later = self.blocks.range(block.min(self.blocks.len())..);
        let first = later.next().map(|block| block.spans.range(place..));
        first.into_iter().flatten().chain(later.flat_map(|block| &block.spans))
    }

    /// The spans that begin before this place, the newest first.
    pub(super) fn before(&self, seq: Seq) -> impl Iterator<Item = &Span> {
        let At { block, place } = self.at(seq);
        let mut earlier = self.blocks.range(..(block + 1).min(self.blocks.len())).rev();
        let last = earlier.next().map(|block| block.spans.range(..place).rev());
        last.into_iter().flatten().chain(earlier.flat_map(|block| block.spans.iter().rev()))
    }

    /// The cost of the spans that begin here or later.
    pub(super) fn cost_from(&self, seq: Seq) -> u64 {
        let At { block, place } = self.at(seq);
        let sum = |blocks: Range<usize>| -> u64 {
            self.blocks.range(blocks).map(|block| block.cost).sum()
        };
        let Some(its) = self.blocks.get(block) else { return 0 };
        // Sum the shorter side.
        let all = if block < self.blocks.len() / 2 {
            self.cost - sum(0..block)
        } else {
            sum(block..self.blocks.len())
        };
        all - cost_of(its.spans.range(..place))
    }

    /// Replaces the spans that begin in `range` by these, which are in order. Returns the old ones.
    pub(super) fn replace(
        &mut self,
        range: Range<Seq>,
        with: impl IntoIterator<Item = Span>,
    ) -> Vec<Span> {
        let mut at = self.at(range.start);
        let mut replaced = Vec::new();
        for span in with {
            let is_end = |block: &Block| at.place == block.spans.len();
            if self.blocks.get(at.block).is_some_and(is_end) && at.block + 1 < self.blocks.len() {
                at = At { block: at.block + 1, place: 0 };
            }
            let block = self.blocks.get_mut(at.block);
            match block.and_then(|block| Some((block.spans.get_mut(at.place)?, &mut block.cost))) {
                Some((old, cost)) if old.first < range.end => {
                    *cost = *cost + span.cost() - old.cost();
                    self.cost = self.cost + span.cost() - old.cost();
                    replaced.push(std::mem::replace(old, span));
                }
                _ => at = self.insert(at, span),
            }
            at.place += 1;
        }
        self.remove(at, range.end, &mut replaced);
        replaced
    }

    /// Inserts the span and returns its position.
    fn insert(&mut self, mut at: At, span: Span) -> At {
        let Some(block) = self.blocks.get_mut(at.block) else {
            self.push(span);
            return at;
        };
        if block.spans.len() == MOST {
            let later = block.split_off(MOST / 2);
            self.blocks.insert(at.block + 1, later);
            if at.place > MOST / 2 {
                at = At { block: at.block + 1, place: at.place - MOST / 2 };
            }
        }
        let block = &mut self.blocks[at.block];
        block.cost += span.cost();
        self.cost += span.cost();
        block.spans.insert(at.place, span);
        at
    }

    /// Moves the spans from `from` on that begin before `end` into `into`.
    fn remove(&mut self, from: At, end: Seq, into: &mut Vec<Span>) {
        let to = self.at(end);
        if to <= from {
            return;
        }
        for block in from.block..=to.block {
            let start = if block == from.block { from.place } else { 0 };
            let its = &mut self.blocks[block];
            let end = if block == to.block { to.place } else { its.spans.len() };
            self.cost -= its.drain(start..end, into);
        }
        if from.block + 1 < to.block {
            self.blocks.drain(from.block + 1..to.block);
        }
        let last = to.block.min(from.block + 1);
        for block in (from.block.saturating_sub(1)..=last).rev() {
            self.tidy(block);
        }
    }

    /// Removes an empty block, or joins it with the next one, and frees its spare capacity.
    fn tidy(&mut self, block: usize) {
        let len = |block: usize| self.blocks.get(block).map(|block| block.spans.len());
        if len(block) == Some(0) {
            self.blocks.remove(block);
            return;
        }
        let both = len(block).zip(len(block + 1)).map(|(its, next)| its + next);
        if both.is_some_and(|both| both <= MOST / 2)
            && let Some(next) = self.blocks.remove(block + 1)
        {
            self.blocks[block].append(next);
        }
        if let Some(Block { spans, .. }) = self.blocks.get_mut(block)
            && spans.capacity() > 2 * spans.len() + SPARE
        {
            spans.shrink_to(spans.len() + spans.len() / 2);
        }
    }
}

fn cost_of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> u64 {
    spans.into_iter().map(Span::cost).sum()
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{Concerned, totals::Totals};

    fn span(first: u64) -> Span {
        Span::dropped(Seq(first), Seq(first + 1), Totals::default(), Concerned::Anyone)
    }

    fn firsts<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<u64> {
        spans.map(|span| span.first.0).collect()
    }

    proptest! {
        #[test]
        fn blocks_are_as_one_row(
            steps in proptest::collection::vec((0_u64..4, 0_u64..9_000, 0_u64..2_000, 1_usize..900), 1..30),
        ) {
            let mut blocks = Blocks::default();
            let mut row: Vec<u64> = Vec::new();
            for (kind, start, len, every) in steps {
                match kind {
                    0 => {
                        let end = row.last().map_or(0, |last| last + 1);
                        (end..end + len).for_each(|first| blocks.push(span(first)));
                        row.extend(end..end + len);
                    }
                    1 => {
                        let dropped = len.min(row.len() as u64) as usize;
                        (0..dropped).for_each(|_| drop(blocks.pop_front()));
                        row.drain(..dropped);
                    }
                    _ => {
                        let new: Vec<u64> = (start..start + len).step_by(every).collect();
                        let gone = blocks.replace(
                            Seq(start)..Seq(start + len),
                            new.iter().map(|first| span(*first)),
                        );
                        let (from, to) = (
                            row.partition_point(|first| *first < start),
                            row.partition_point(|first| *first < start + len),
                        );
                        let expected: Vec<u64> = row.splice(from..to, new).collect();
                        prop_assert_eq!(firsts(gone.iter()), expected);
                    }
                }
                let at = row.partition_point(|first| *first < start);
                prop_assert_eq!(firsts(blocks.from(Seq(start))), &row[at..]);
                let before: Vec<u64> = row[..at].iter().rev().copied().collect();
                prop_assert_eq!(firsts(blocks.before(Seq(start))), before);
                let one = span(0).cost();
                prop_assert_eq!(blocks.cost_from(Seq(start)), (row.len() - at) as u64 * one);
                prop_assert_eq!(blocks.cost(), row.len() as u64 * one);
                let lens: Vec<_> = blocks.blocks.iter().map(|block| block.spans.len()).collect();
                prop_assert!(lens.iter().all(|len| (1..=MOST).contains(len)), "{:?}", lens);
            }
        }
    }
}
