//! Output batches and their credit: a batch is handed over, its drop returns the credit.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use crate::{
    ChildId, Entry, Gap,
    log::Batch,
    read_loop::{LoopCommand, LoopLink},
};

/// Batches that a subscriber may hold at once: one to work on, and more on their way.
const CREDITS: u32 = 4;

/// The credit of one subscriber.
#[derive(Debug)]
pub(crate) struct Credits {
    available: AtomicU32,
    /// The loop had something to deliver and found no credit.
    hungry: AtomicBool,
    link: Weak<LoopLink>,
}

impl Credits {
    pub(crate) fn new(link: &Arc<LoopLink>) -> Arc<Self> {
        Arc::new(Credits {
            available: AtomicU32::new(CREDITS),
            hungry: AtomicBool::new(false),
            link: Arc::downgrade(link),
        })
    }

    /// For the loop: takes one credit. Where there is none, the next one returned wakes the loop.
    pub(crate) fn take(&self) -> bool {
        let less = |available: u32| available.checked_sub(1);
        if self.available.fetch_update(SeqCst, SeqCst, less).is_ok() {
            return true;
        }
        self.hungry.store(true, SeqCst);
        // One may have come back before `hungry` could be seen.
        self.available.fetch_update(SeqCst, SeqCst, less).is_ok()
    }

    fn give(&self) {
        self.available.fetch_add(1, SeqCst);
    }

    /// Returns a credit from wherever the batch was dropped.
    fn give_and_wake(&self) {
        self.give();
        if self.hungry.swap(false, SeqCst)
            && let Some(link) = self.link.upgrade()
        {
            link.push(LoopCommand::Credit);
        }
    }
}

/// Entries of the merged log, sent to a subscriber of output. Holding it holds one of the
/// subscriber's credits; dropping it asks for more.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub struct OutputBatch {
    batch: Batch,
    child: Option<ChildId>,
    credits: Option<Arc<Credits>>,
}

impl OutputBatch {
    pub(crate) fn new(batch: Batch, child: Option<ChildId>, credits: &Arc<Credits>) -> Self {
        OutputBatch { batch, child, credits: Some(Arc::clone(credits)) }
    }

    /// What the log dropped right before the first entry, if it dropped anything. For a subscriber
    /// to one child, only what may be that child's.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        self.batch.gap().filter(|gap| self.child.is_none_or(|child| gap.concerns(child)))
    }

    /// The entries, in their order: chunks and lifecycle facts.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let child = self.child;
        self.batch.entries().filter(move |entry| child.is_none_or(|child| child == entry.child))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gap().is_none() && self.entries().next().is_none()
    }

    /// For the loop: takes the batch back unseen, without waking itself.
    pub(crate) fn discard(mut self) {
        if let Some(credits) = self.credits.take() {
            credits.give();
        }
    }
}

/// A batch that takes no credit, as from a [`Replay`](crate::Replay).
impl From<Batch> for OutputBatch {
    fn from(batch: Batch) -> Self {
        OutputBatch { batch, child: None, credits: None }
    }
}

impl Drop for OutputBatch {
    fn drop(&mut self) {
        if let Some(credits) = self.credits.take() {
            credits.give_and_wake();
        }
    }
}
