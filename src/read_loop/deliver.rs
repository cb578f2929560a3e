//! Subscribers: the audience of lifecycle facts, and the credit-based delivery of output.

use std::sync::Arc;

use actix::{Message, Recipient};

use super::LoopLink;
use crate::{
    ChildId, SubscriptionId,
    log::{ChildExited, CursorId},
    subscribe::{Credits, Lifecycle, OutputBatch},
};

/// Who hears of exits and of the lifecycle: of every child, or of one.
#[derive(Debug, Default)]
pub(super) struct Audience {
    pub(super) exits: Vec<(Option<SubscriptionId>, Recipient<ChildExited>)>,
    pub(super) lifecycle: Vec<(Option<SubscriptionId>, Recipient<Lifecycle>)>,
}

/// Sends to each recipient that is alive and removes the others. `do_send` ignores a mailbox's
/// capacity, so a full one loses nothing.
fn send_all<M: Message<Result = ()> + Clone + Send + 'static>(
    recipients: &mut Vec<(Option<SubscriptionId>, Recipient<M>)>,
    message: &M,
) {
    recipients.retain(|(_, recipient)| {
        let alive = recipient.connected();
        if alive {
            recipient.do_send(message.clone());
        }
        alive
    });
}

impl Audience {
    pub(super) fn exited(&mut self, exit: &ChildExited) {
        send_all(&mut self.exits, exit);
    }

    pub(super) fn lifecycle(&mut self, event: &Lifecycle) {
        send_all(&mut self.lifecycle, event);
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) {
        self.exits.retain(|(other, _)| *other != Some(id));
        self.lifecycle.retain(|(other, _)| *other != Some(id));
    }
}

/// A subscriber of output: a cursor of the log, and the credit that bounds what it holds.
#[derive(Debug)]
pub(super) struct OutputSubscriber {
    pub(super) id: SubscriptionId,
    pub(super) recipient: Recipient<OutputBatch>,
    pub(super) cursor: CursorId,
    pub(super) credits: Arc<Credits>,
    pub(super) child: Option<ChildId>,
}

impl OutputSubscriber {
    /// Hands over batches while there are entries and credit. `false` once its actor is gone.
    pub(super) fn deliver(&self, link: &LoopLink) -> bool {
        loop {
            if !self.recipient.connected() {
                return false;
            }
            if !link.log().has_more(self.cursor) || !self.credits.take() {
                return true;
            }
            let batch = link.log().read(self.cursor);
            let batch = OutputBatch::new(batch.unwrap_or_default(), self.child, &self.credits);
            if batch.is_empty() {
                batch.discard();
            } else {
                self.recipient.do_send(batch);
            }
        }
    }
}
