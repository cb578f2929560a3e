//! `Quotas`: how much memory of the log each child with a quota uses. Pure bookkeeping; the log
//! acts on it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{Entry, Fact, totals::Totals};
use crate::{ChildId, Seq, types::Quota};

/// One child's quota and its use.
#[derive(Debug)]
pub(super) struct QuotaUse {
    pub(super) of: Quota,
    /// Its chunks in memory, and their costs.
    chunks: VecDeque<(Seq, u64)>,
    pub(super) held: u64,
    /// The cost of the chunks that are being spilled.
    pub(super) spilling: u64,
}

impl QuotaUse {
    /// Forgets the chunks before this position.
    pub(super) fn forget_before(&mut self, place: Seq) {
        while let Some(&(seq, cost)) = self.chunks.front()
            && seq < place
        {
            self.chunks.pop_front();
            self.held -= cost;
        }
    }

    /// Forgets the oldest chunks that are over the quota, and returns them.
    pub(super) fn take_excess(&mut self) -> Vec<Seq> {
        let mut excess = Vec::new();
        while self.held > self.of.bytes
            && let Some((seq, cost)) = self.chunks.pop_front()
        {
            self.held -= cost;
            excess.push(seq);
        }
        excess
    }
}

/// The quotas, and the children that are blocked by theirs.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    of: HashMap<ChildId, QuotaUse>,
    blocked: BTreeSet<ChildId>,
    /// The children that were blocked or unblocked since the last `take_changes`.
    changed: BTreeSet<ChildId>,
}

impl Quotas {
    pub(super) fn set(&mut self, child: ChildId, of: Quota) {
        let share = QuotaUse { of, chunks: VecDeque::new(), held: 0, spilling: 0 };
        self.of.insert(child, share);
    }

    pub(super) fn get_mut(&mut self, child: ChildId) -> Option<&mut QuotaUse> {
        self.of.get_mut(&child)
    }

    /// Counts new entries, and returns the children whose quotas they use.
    pub(super) fn count(&mut self, entries: &[Entry]) -> BTreeSet<ChildId> {
        let mut counted = BTreeSet::new();
        if self.of.is_empty() {
            return counted;
        }
        for entry in entries {
            match &entry.fact {
                Fact::Chunk(_) => {
                    if let Some(share) = self.of.get_mut(&entry.child) {
                        let cost = Totals::of(std::slice::from_ref(entry)).cost();
                        share.chunks.push_back((entry.seq, cost));
                        share.held += cost;
                        counted.insert(entry.child);
                    }
                }
                // From now on the child's entries count only for the whole log.
                Fact::Closed => {
                    self.of.remove(&entry.child);
                    self.blocked.remove(&entry.child);
                    counted.remove(&entry.child);
                }
                Fact::Spawned { .. } | Fact::Exited(_) => {}
            }
        }
        counted
    }

    pub(super) fn block(&mut self, child: ChildId, blocked: bool) {
        let changed =
            if blocked { self.blocked.insert(child) } else { self.blocked.remove(&child) };
        if changed {
            self.changed.insert(child);
        }
    }

    /// Whether some child is blocked, or was until now.
    pub(super) fn wait(&self) -> bool {
        !self.blocked.is_empty() || !self.changed.is_empty()
    }

    pub(super) fn blocked(&self) -> &BTreeSet<ChildId> {
        &self.blocked
    }

    /// The children to pause (`true`) or to resume since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<(ChildId, bool)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|child| (child, self.blocked.contains(&child))).collect()
    }
}
