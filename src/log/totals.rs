//! `Totals`: sums over ranges of the log. `Milestones`: the totals at some dropped positions.

use std::ops::{Add, Sub};

use super::{Entry, Fact};
use crate::Seq;

/// An entry's cost beside its bytes, so that a flood of tiny chunks is bounded too. At worst, as
/// the only one of its turn, it takes twice this: itself (80 bytes), its turn (32), its span (80,
/// and as much spare capacity in its block), and the allocator and a shared chunk (64).
pub(super) const ENTRY_COST: u64 = 176;

/// Running totals over a stretch of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) chunks: u64,
    pub(super) bytes: u64,
    pub(super) facts: u64,
}

impl Totals {
    pub(super) fn of(entries: &[Entry]) -> Totals {
        let mut totals = Totals::default();
        for entry in entries {
            match &entry.fact {
                Fact::Chunk(chunk) => {
                    totals.chunks += 1;
                    totals.bytes += chunk.bytes.len() as u64;
                }
                Fact::Spawned { .. } | Fact::Exited(_) | Fact::Closed => totals.facts += 1,
            }
        }
        totals
    }

    pub(super) fn cost(self) -> u64 {
        self.bytes + (self.chunks + self.facts) * ENTRY_COST
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            chunks: self.chunks + other.chunks,
            bytes: self.bytes + other.bytes,
            facts: self.facts + other.facts,
        }
    }
}

impl Sub for Totals {
    type Output = Totals;

    fn sub(self, other: Totals) -> Totals {
        Totals {
            chunks: self.chunks - other.chunks,
            bytes: self.bytes - other.bytes,
            facts: self.facts - other.facts,
        }
    }
}

/// Most milestones kept.
const MILESTONES: usize = 1024;

/// The totals at some dropped positions. They become sparser, so that their number is bounded.
#[derive(Debug)]
pub(super) struct Milestones {
    /// In the order of the log; the first is the log's beginning.
    places: Vec<(Seq, Totals)>,
    /// One of this many turns is kept.
    every: u64,
    passed: u64,
}

impl Default for Milestones {
    fn default() -> Self {
        Milestones { places: vec![(Seq(0), Totals::default())], every: 1, passed: 0 }
    }
}

impl Milestones {
    /// A turn that begins here, after these totals, is dropped.
    pub(super) fn pass(&mut self, first: Seq, before: Totals) {
        self.passed += 1;
        if !self.passed.is_multiple_of(self.every) {
            return;
        }
        if self.places.len() == MILESTONES {
            let mut index = 0;
            self.places.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
        self.places.push((first, before));
    }

    /// The last milestone at or before `seq`.
    pub(super) fn before(&self, seq: Seq) -> (Seq, Totals) {
        let after = self.places.partition_point(|(place, _)| *place <= seq);
        after.checked_sub(1).map_or((Seq(0), Totals::default()), |at| self.places[at])
    }
}
