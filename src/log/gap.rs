//! `Gap`: takes the place of entries that are missing.

use smallvec::{SmallVec, smallvec};

use super::totals::Totals;
use crate::{ChildId, Seq};

/// Entries that are no longer in the log, reported at their position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The first sequence number that is missing.
    pub first: Seq,
    /// The last sequence number that is missing.
    pub last: Seq,
    /// How many chunks are missing.
    pub chunks: u64,
    /// How many bytes those chunks held.
    pub bytes: u64,
    /// How many lifecycle facts are missing (they were still sent to their subscribers).
    pub facts: u64,
    pub(crate) concerned: Concerned,
}

impl Gap {
    /// Whether this child's entries may be among the missing ones. If only a child's own quota
    /// dropped entries, the gap concerns that child alone.
    #[must_use]
    pub fn concerns(&self, child: ChildId) -> bool {
        self.concerned.includes(child)
    }

    pub(super) fn new(first: Seq, after: Seq, lost: Totals, concerned: Concerned) -> Self {
        Gap {
            first,
            last: Seq(after.0 - 1),
            chunks: lost.chunks,
            bytes: lost.bytes,
            facts: lost.facts,
            concerned,
        }
    }
}

/// The children whose entries a gap may have replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Concerned {
    Anyone,
    /// Sorted, without repeats.
    Only(SmallVec<[ChildId; 1]>),
}

impl Concerned {
    pub(crate) fn of(mut children: SmallVec<[ChildId; 1]>) -> Self {
        children.sort();
        children.dedup();
        Concerned::Only(children)
    }

    pub(super) fn only(child: ChildId) -> Self {
        Concerned::Only(smallvec![child])
    }

    pub(super) fn includes(&self, child: ChildId) -> bool {
        match self {
            Concerned::Anyone => true,
            Concerned::Only(children) => children.binary_search(&child).is_ok(),
        }
    }

    /// The children of both.
    pub(super) fn and(self, other: Self) -> Self {
        let (Concerned::Only(these), Concerned::Only(others)) = (self, other) else {
            return Concerned::Anyone;
        };
        let (mut more, fewer) =
            if these.len() < others.len() { (others, these) } else { (these, others) };
        if fewer.iter().all(|child| more.binary_search(child).is_ok()) {
            return Concerned::Only(more);
        }
        more.extend(fewer);
        Concerned::of(more)
    }

    /// The extra memory that a list takes.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Concerned::Only(children) if children.spilled() => size_of_val(&children[..]) as u64,
            Concerned::Anyone | Concerned::Only(_) => 0,
        }
    }
}
