//! `Publisher`: tells the subscribers, after the log has been written.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Mailbox,
    children::{Awaited, ChildEntry},
    deliver::{Audience, OutputSubscriber, send},
};
use crate::{
    ChildExited, ChildId, Part, PolicyStopped, Seq, SubscriptionId,
    cell::ChildCell,
    log::Fact,
    process::ChildSlot,
    restart::fault_point,
    spill::SpillError,
    subscribe::{Credits, Interest, Lifecycle, Subscribe},
};

/// News that are due once the log holds them.
#[derive(Debug)]
pub(super) enum Notice {
    /// A spawn or a close.
    Fact(Seq, ChildId, Fact),
    /// An exit, with everybody who waits for this one.
    Exited {
        exit: ChildExited,
        cell: Arc<ChildCell>,
        awaited: Option<Box<Awaited>>,
        /// Dropped when they have been told.
        slot: Option<Arc<ChildSlot>>,
    },
}

#[derive(Debug)]
pub(super) struct Publisher {
    link: Arc<Mailbox>,
    exits: Audience<ChildExited>,
    lifecycle: Audience<Lifecycle>,
    outputs: Vec<OutputSubscriber>,
    notices: VecDeque<Notice>,
    spill_failed: Option<Lifecycle>,
}

impl Publisher {
    pub(super) fn new(link: Arc<Mailbox>) -> Self {
        Publisher {
            link,
            exits: Audience::default(),
            lifecycle: Audience::default(),
            outputs: Vec::new(),
            notices: VecDeque::new(),
            spill_failed: None,
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    /// Hands over output, then tells the news: who gets both has the output first.
    pub(super) fn publish(&mut self) {
        let link = Arc::clone(&self.link);
        self.retain_outputs(|subscriber| subscriber.deliver(&link));
        while !self.notices.is_empty() {
            fault_point!(LoopBeforeNotice);
            if let Some(notice) = self.notices.pop_front() {
                self.tell(notice);
            }
        }
    }

    fn retain_outputs(&mut self, stays: impl Fn(&OutputSubscriber) -> bool) {
        self.outputs.retain(|subscriber| {
            let stays = stays(subscriber);
            if !stays {
                self.link.log().close(subscriber.cursor);
            }
            stays
        });
    }

    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Fact(seq, child, Fact::Spawned { pid, program }) => {
                self.lifecycle.tell(Some(child), &Lifecycle::Spawned { child, pid, program, seq });
            }
            Notice::Fact(seq, child, Fact::Closed) => {
                self.lifecycle.tell(Some(child), &Lifecycle::Closed { child, seq });
            }
            Notice::Fact(_, _, Fact::Chunk(_) | Fact::Exited(_)) => {}
            Notice::Exited { exit, cell, awaited, slot: _slot } => {
                // First the sticky status: whoever hears of the exit may ask for it.
                cell.settle(Ok(exit.clone()));
                let Awaited { mut exits } = awaited.map(|it| *it).unwrap_or_default();
                exits.tell(None, &exit);
                self.exits.tell(None, &exit);
                self.lifecycle.tell(Some(exit.child), &Lifecycle::Exited(exit.clone()));
            }
        }
    }

    /// Adds a subscription; `entry` is its child's, where it is for one child that still runs.
    pub(super) fn subscribe(
        &mut self,
        id: SubscriptionId,
        Subscribe { interest, child }: Subscribe,
        entry: Option<&mut ChildEntry>,
    ) {
        match (interest, child, entry) {
            (Interest::Output { recipient, start, lossless }, child, _) => {
                let cursor = self.link.log().open(start, lossless);
                let credits = Credits::new(
                    Arc::clone(self.link.shared_log().wake()),
                    self.link.host().cloned(),
                );
                let child = child.map(|cell| cell.id);
                self.outputs.push(OutputSubscriber { id, recipient, cursor, credits, child });
            }
            (Interest::Exits(recipient), None, _) => {
                self.exits.add(Some(id), None, recipient);
            }
            (Interest::Lifecycle(recipient), child, _) => {
                if let Some(event) = &self.spill_failed {
                    send(&recipient, event);
                }
                self.lifecycle.add(Some(id), child.map(|cell| cell.id), recipient);
            }
            (Interest::Exits(recipient), Some(cell), entry) => match (cell.exit(), entry) {
                (Some(Ok(exit)), _) => send(&recipient, &exit),
                (None, Some(entry)) => entry.awaited().exits.add(Some(id), None, recipient),
                (Some(Err(_)) | None, _) => {}
            },
        }
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.exits.remove(id);
        self.lifecycle.remove(id);
        self.retain_outputs(|subscriber| subscriber.id != id);
    }

    /// Tells it, also to those who come later: what is in force has changed for good.
    pub(super) fn spill_failed(&mut self, error: Arc<SpillError>) {
        let event = Lifecycle::SpillFailed(error);
        self.lifecycle.tell(None, &event);
        self.spill_failed = Some(event);
    }

    pub(super) fn restarted(&mut self, part: Part, message: String) {
        self.lifecycle.tell(None, &Lifecycle::Restarted { part, message });
    }

    pub(super) fn stopped(&mut self, reason: &PolicyStopped) {
        for subscriber in &self.outputs {
            subscriber.deliver_rest(&self.link);
        }
        self.lifecycle.tell(None, &Lifecycle::Stopped(reason.clone()));
    }
}
