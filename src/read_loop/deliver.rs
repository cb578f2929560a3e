//! Subscribers: the audience of lifecycle facts, and the credit-based delivery of output.

use std::sync::Arc;

use actix::{Message, Recipient};

use super::Mailbox;
use crate::{
    ChildId, SubscriptionId,
    log::{CursorId, Limit},
    restart::{contain, drop_contained},
    subscribe::{Credits, OutputBatch},
};

/// Recipients of one kind of message; those that came with a spawn have no subscription.
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
    /// The only child that it wants to hear of.
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

    /// The last recipient of an actor may take that along, and with it what is the host's: it is
    /// dropped when all of them have been looked at.
    fn remove_where(&mut self, mut goes: impl FnMut(&Member<M>) -> bool) {
        let gone: Vec<_> = self.members.extract_if(.., |member| goes(member)).collect();
        gone.into_iter().for_each(drop_contained);
    }

    /// Sends what is about `child` (or about all) to everyone who is alive and wants it, and
    /// removes the dead. `do_send` ignores a mailbox's capacity, so a full one loses nothing.
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

/// Sends a message. The recipient's mailbox has it before a waker runs, which may be foreign.
pub(super) fn send<M>(recipient: &Recipient<M>, message: &M)
where
    M: Message<Result = ()> + Clone + Send + 'static,
{
    contain("the waker of a subscriber", || recipient.do_send(message.clone()));
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

/// What a look at a subscriber has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// There was something for it, and may be more.
    More,
    /// There is nothing, or no credit, which wakes the loop when it comes back.
    Nothing,
    /// Its actor is gone.
    Gone,
}

impl OutputSubscriber {
    /// Hands over one batch, where there is one and credit for it.
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

    /// Hands over all that is left, without credit: nobody will be there to ask later. It is at
    /// most what the log holds, and what of it went to files.
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
