//! Batches: what a cursor returns, whole turns shared with the log.

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

use super::{Entry, Gap};
use crate::{Seq, restart::trace};

/// The entries of one turn, shared by the log and every batch that holds them.
pub(crate) type TurnEntries = Arc<[Entry]>;

/// Consecutive entries of the log. They are shared slices: a held batch keeps their memory, and a
/// clone copies no byte.
#[derive(Clone, Default)]
pub struct Batch {
    pub(crate) gap: Option<Gap>,
    pub(crate) turns: SmallVec<[TurnEntries; 2]>,
    /// Entries before this one are not for the reader.
    pub(crate) first: Option<Seq>,
    /// The cost of its entries.
    pub(crate) cost: u64,
}

/// Shows how much it holds and never the contents.
impl fmt::Debug for Batch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Batch")
            .field("gap", &self.gap)
            .field("entries", &self.entries().count())
            .finish()
    }
}

impl Batch {
    /// What the log dropped right before the first entry, if it dropped anything.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        self.gap.clone()
    }

    /// Traces the gap, if there is one. Not under the log's lock: the subscriber may be slow.
    pub(crate) fn trace_gap(&self) {
        if let Some(gap) = &self.gap {
            trace::info!(
                first = %gap.first, chunks = gap.chunks, bytes = gap.bytes,
                "gap: the oldest entries went before a reader had read them",
            );
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gap.is_none() && self.turns.is_empty()
    }

    /// The entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.turns().flatten()
    }

    /// The entries, grouped by the turns that found them.
    pub(crate) fn turns(&self) -> impl Iterator<Item = impl Iterator<Item = &Entry>> {
        let is_its = |entry: &&Entry| self.first.is_none_or(|first| entry.seq >= first);
        let visible = self.turns.iter().filter(move |turn| turn.iter().any(|it| is_its(&it)));
        visible.map(move |turn| turn.iter().filter(is_its))
    }
}
