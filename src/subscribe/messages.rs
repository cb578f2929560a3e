//! `Subscribe` and `Unsubscribe`: the messages to the policy.

use std::sync::Arc;

use actix::{Message, Recipient};

use super::{Lifecycle, OutputBatch};
use crate::{ChildExited, PolicyStopped, SubscriptionId, cell::ChildCell, log::Start};

/// The messages that a subscriber wants.
#[derive(Debug)]
pub(crate) enum Interest {
    Exits(Recipient<ChildExited>),
    Lifecycle(Recipient<Lifecycle>),
    Output { recipient: Recipient<OutputBatch>, start: Start, lossless: bool },
}

/// Subscribes an actor. It receives everything that is spawned or observed after the reply, until
/// [`Unsubscribe`] or the actor's end.
///
/// ```no_run
/// # use actix::prelude::*;
/// # use actix_process::*;
/// # async fn example(policy: PolicyHandle, recipient: Recipient<ChildExited>) -> Result<(), PolicyStopped> {
/// let subscription = policy.subscribe(Subscribe::exits(recipient)).await?;
/// policy.unsubscribe(subscription).await;
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<SubscriptionId, PolicyStopped>")]
#[must_use]
pub struct Subscribe {
    pub(crate) interest: Interest,
    pub(crate) child: Option<Arc<ChildCell>>,
}

impl Subscribe {
    /// To exits: one [`ChildExited`] for each child, never dropped.
    pub fn exits(recipient: Recipient<ChildExited>) -> Self {
        Subscribe { interest: Interest::Exits(recipient), child: None }
    }

    /// To lifecycle events, never dropped.
    pub fn lifecycle(recipient: Recipient<Lifecycle>) -> Self {
        Subscribe { interest: Interest::Lifecycle(recipient), child: None }
    }

    /// To batches of output, from the next entry on. The subscriber loses nothing: when it is a
    /// whole log behind, reading pauses until it drops a batch.
    pub fn output(recipient: Recipient<OutputBatch>) -> Self {
        let interest = Interest::Output { recipient, start: Start::Now, lossless: true };
        Subscribe { interest, child: None }
    }

    /// For output: never pauses reading. Entries that the log drops are reported as a gap.
    pub fn lossy(mut self) -> Self {
        if let Interest::Output { lossless, .. } = &mut self.interest {
            *lossless = false;
        }
        self
    }

    /// For output: starts at another place than the next entry.
    pub fn from(mut self, place: Start) -> Self {
        if let Interest::Output { start, .. } = &mut self.interest {
            *start = place;
        }
        self
    }
}

/// Ends a subscription. Messages sent before still arrive.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Unsubscribe(pub SubscriptionId);
