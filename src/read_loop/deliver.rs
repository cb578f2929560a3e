//! Subscribers: the recipients of lifecycle facts, and the credit-based delivery of output.

use std::sync::Arc;

use actix::{Message, Recipient};

use super::Mailbox;
use crate::{
    ChildId, SubscriptionId,
    log::{CursorId, Limit},
    restart::{contain, drop_contained},
    subscribe::{Credits, OutputBatch},
};

/// Recipients of one kind of message. A recipient given with a spawn has no subscription.
#[derive(Debug)]
pub(super) struct Recipients<M>
where
    M: Message<Result = ()> + Send,
{
    members: Vec<Member<M>>,
}

#[derive(Debug)]
struct Member<M>
where
    M: Message<Result = ()> + Send,
{
    subscription: Option<SubscriptionId>,
    /// If set, the recipient receives messages about this child only.
    child: Option<ChildId>,
    recipient: Recipient<M>,
}

impl<M: Message<Result = ()> + Send> Default for Recipients<M> {
    fn default() -> Self {
        Recipients { members: Vec::new() }
    }
}

impl<M: Message<Result = ()> + Clone + Send + 'static> Recipients<M> {
    pub(super) fn add(
        &mut self,
        subscription: Option<SubscriptionId>,
        child: Option<ChildId>,
        recipient: Recipient<M>,
    ) {
        self.members.push(Member { subscription, child, recipient });
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) {
        self.remove_where(|member| member.subscription == Some(id));
    }

    /// Removes members. They are dropped after all have been checked: dropping an actor's last
    /// recipient may end the actor and run the user's destructors.
    fn remove_where(&mut self, mut goes: impl FnMut(&Member<M>) -> bool) {
        let gone: Vec<_> = self.members.extract_if(.., |member| goes(member)).collect();
        gone.into_iter().for_each(drop_contained);
    }

    /// Sends a message about `child` (or about all) to every live recipient that wants it, and
    /// removes dead ones. `do_send` ignores a mailbox's capacity, so a full mailbox loses nothing.
    pub(super) fn tell(&mut self, child: Option<ChildId>, message: &M) {
        self.remove_where(|member| {
            let alive = member.recipient.connected();
            if alive && (child.is_none() || member.child.is_none() || member.child == child) {
                send(&member.recipient, message);
            }
            !alive
        });
    }
}

/// Sends a message. It is in the recipient's mailbox before a waker, which may be foreign, runs.
pub(super) fn send<M>(recipient: &Recipient<M>, message: &M)
where
    M: Message<Result = ()> + Clone + Send + 'static,
{
    contain("the waker of a subscriber", || recipient.do_send(message.clone()));
}

/// A subscriber of output: a cursor of the log, and the credit that bounds its batches.
#[derive(Debug)]
pub(super) struct OutputSubscriber {
    pub(super) id: SubscriptionId,
    pub(super) recipient: Recipient<OutputBatch>,
    pub(super) cursor: CursorId,
    pub(super) credits: Arc<Credits>,
    pub(super) child: Option<ChildId>,
}

/// The result of serving a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// It received something, and there may be more.
    More,
    /// There is nothing to send, or no credit. A returned credit wakes the loop.
    Nothing,
    /// Its actor is gone.
    Gone,
}

impl OutputSubscriber {
    /// Sends one batch, if there is one and credit for it.
    pub(super) fn serve(&self, link: &Mailbox) -> Served {
        if !self.recipient.connected() {
            return Served::Gone;
        }
        if !link.log().has_more(self.cursor) || !self.credits.take() {
            return Served::Nothing;
        }
        self.hand_over(link, self.credits.limit());
        Served::More
    }

    /// Sends everything that is left, without credit, since the loop ends. It is at most what the
    /// log holds, in memory and in files.
    pub(super) fn deliver_rest(&self, link: &Mailbox) {
        while self.recipient.connected() && !link.log().is_at_end(self.cursor) {
            self.hand_over(link, u64::MAX);
        }
    }

    fn hand_over(&self, link: &Mailbox, limit: u64) {
        let limit = Limit::Entries(limit);
        let batch = link.shared_log().read(self.cursor, limit).unwrap_or_default();
        batch.trace_gap();
        let batch = OutputBatch::new(batch, self.child, &self.credits);
        if batch.is_empty() {
            batch.discard();
        } else {
            contain("the waker of a subscriber", || self.recipient.do_send(batch));
        }
    }
}
