//! `OutputBatch`: what a subscriber of output receives. Dropping it returns its credit.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

use super::{Credits, pace::Pace};
use crate::{
    ChildId, Entry,
    log::{Batch, Gap},
};

/// Entries of the merged log, sent to a subscriber of output. A held batch holds one of the
/// subscriber's credits; dropping it asks for more.
///
/// The size of a batch adapts to the time that the subscriber takes. Other tasks and timers of the
/// subscriber's arbiter keep running: if a few batches are handled without a pause, the next one
/// waits for them.
///
/// ```
/// use actix::prelude::*;
/// use actix_process::{Fact, OutputBatch};
///
/// struct Counter(usize);
///
/// impl Actor for Counter {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<OutputBatch> for Counter {
///     type Result = ();
///
///     fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
///         for entry in batch.entries() {
///             if let Fact::Chunk(chunk) = &entry.fact {
///                 self.0 += chunk.bytes.len();
///             }
///         }
///     }
/// }
/// ```
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct OutputBatch {
    batch: Batch,
    child: Option<ChildId>,
    credit: Option<Arc<Credits>>,
    look: OnceLock<Look>,
}

/// The first look at a batch.
struct Look {
    at: Instant,
    number: u64,
    pace: Option<Pace>,
}

impl OutputBatch {
    pub(crate) fn new(batch: Batch, child: Option<ChildId>, credits: &Arc<Credits>) -> Self {
        credits.handed_over();
        OutputBatch { batch, child, credit: Some(Arc::clone(credits)), look: OnceLock::new() }
    }

    /// What the log dropped right before the first entry, if it dropped anything. For a subscriber
    /// to one child, only a gap that may concern that child.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        self.look();
        self.its_gap()
    }

    /// The entries, in order: chunks and lifecycle facts.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.look();
        self.its_entries()
    }

    fn its_gap(&self) -> Option<Gap> {
        self.batch.gap().filter(|gap| self.child.is_none_or(|child| gap.concerns(child)))
    }

    fn its_entries(&self) -> impl Iterator<Item = &Entry> {
        let child = self.child;
        self.batch.entries().filter(move |entry| child.is_none_or(|child| child == entry.child))
    }

    fn look(&self) {
        if let Some(credits) = &self.credit {
            self.look.get_or_init(|| Look {
                number: credits.looked_at(),
                pace: Pace::here(),
                at: Instant::now(),
            });
        }
    }

    /// For the loop: whether it holds nothing for the subscriber.
    pub(crate) fn is_empty(&self) -> bool {
        self.its_gap().is_none() && self.its_entries().next().is_none()
    }

    /// For the loop: drops a batch that was not sent, without waking the loop.
    pub(crate) fn discard(mut self) {
        if let Some(credits) = self.credit.take() {
            credits.looked_at();
            credits.give();
        }
    }
}

/// A batch without a credit, as from a [`Replay`](crate::log::recording::Replay).
impl From<Batch> for OutputBatch {
    fn from(batch: Batch) -> Self {
        OutputBatch { batch, child: None, credit: None, look: OnceLock::new() }
    }
}

/// Shows how much it holds and never the contents.
impl fmt::Debug for OutputBatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OutputBatch")
            .field("gap", &self.its_gap())
            .field("entries", &self.its_entries().count())
            .field("child", &self.child)
            .finish()
    }
}

impl Drop for OutputBatch {
    fn drop(&mut self) {
        self.look();
        if let (Some(credits), Some(look)) = (self.credit.take(), self.look.get()) {
            credits.took(look.number, look.at.elapsed());
            credits.give_back(look.pace.as_ref());
        }
    }
}
