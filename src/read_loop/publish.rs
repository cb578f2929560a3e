//! `Publisher`: tells the subscribers, after the log has been written.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Mailbox,
    children::{ChildEntry, ExitListeners},
    deliver::{OutputSubscriber, Recipients, Served, send},
};
use crate::{
    ChildExited, ChildId, PolicyStopped, Seq, SubscriptionId,
    cell::ChildCell,
    log::CursorId,
    log::{Fact, spill::SpillError},
    process::Process,
    restart::{drop_contained, fault_point},
    subscribe::{Credits, Interest, Lifecycle, Subscribe},
    types::Part,
};

/// A turn hands over output for so long: what is left over comes with the next one, which follows at
/// once.
const A_TURN: Duration = Duration::from_millis(1);

/// News that are due once the log holds them.
#[derive(Debug)]
pub(super) enum Notification {
    /// A spawn or a close.
    Fact(Seq, ChildId, Fact),
    /// An exit, with everybody who waits for this one.
    Exited {
        exit: ChildExited,
        cell: Arc<ChildCell>,
        awaited: Option<Box<ExitListeners>>,
        /// Dropped when they have been told.
        process: Option<Arc<Process>>,
    },
}

#[derive(Debug)]
pub(super) struct Publisher {
    link: Arc<Mailbox>,
    exits: Recipients<ChildExited>,
    lifecycle: Recipients<Lifecycle>,
    /// The one whose turn it is in front.
    outputs: VecDeque<OutputSubscriber>,
    /// How often one of them has been served.
    served: u64,
    /// Not all of them have all that is there.
    has_more: bool,
    /// Each is due at the latest when so many have been served: all have had a turn by then.
    notifications: VecDeque<(u64, Notification)>,
    spill_failed: Option<Lifecycle>,
}

impl Publisher {
    pub(super) fn new(link: Arc<Mailbox>) -> Self {
        Publisher {
            link,
            exits: Recipients::default(),
            lifecycle: Recipients::default(),
            outputs: VecDeque::new(),
            served: 0,
            has_more: false,
            notifications: VecDeque::new(),
            spill_failed: None,
        }
    }

    pub(super) fn notice(&mut self, notice: Notification) {
        self.notifications.push_back((self.served + self.outputs.len() as u64, notice));
    }

    /// Hands over output, then tells the news: who gets both has the output first. It takes no longer
    /// than a turn may, however long a history somebody is handed: see
    /// [`has_more`](Publisher::has_more).
    pub(super) fn publish(&mut self) {
        let begun = Instant::now();
        let mut done = 0;
        self.has_more = true;
        while done < self.outputs.len() {
            match self.serve_next() {
                Served::More => done = 0,
                Served::Nothing => done += 1,
                Served::Gone => {}
            }
            if begun.elapsed() >= A_TURN {
                return self.tell_until(self.served);
            }
        }
        self.tell_until(u64::MAX);
        self.has_more = false;
    }

    /// Whether the last turn has left something over.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Serves the one whose turn it is.
    fn serve_next(&mut self) -> Served {
        let Some(subscriber) = self.outputs.front() else { return Served::Nothing };
        let served = subscriber.serve(&self.link);
        self.served += 1;
        match served {
            Served::Gone => self.remove(0),
            Served::More | Served::Nothing => self.outputs.rotate_left(1),
        }
        served
    }

    fn remove(&mut self, place: usize) {
        if let Some(subscriber) = self.outputs.remove(place) {
            self.link.log().close(subscriber.cursor);
            drop_contained(subscriber);
        }
    }

    fn tell_until(&mut self, served: u64) {
        while self.notifications.front().is_some_and(|(due, _)| *due <= served) {
            fault_point!(LoopBeforeNotice);
            if let Some((_, notice)) = self.notifications.pop_front() {
                self.tell(notice);
            }
        }
    }

    fn tell(&mut self, notice: Notification) {
        match notice {
            Notification::Fact(seq, child, Fact::Spawned { pid, program }) => {
                self.lifecycle.tell(Some(child), &Lifecycle::Spawned { child, pid, program, seq });
            }
            Notification::Fact(seq, child, Fact::Closed) => {
                self.lifecycle.tell(Some(child), &Lifecycle::Closed { child, seq });
            }
            Notification::Fact(_, _, Fact::Chunk(_) | Fact::Exited(_)) => {}
            Notification::Exited { exit, cell, awaited, process: _slot } => {
                // First the sticky status: whoever hears of the exit may ask for it.
                cell.settle(Ok(exit.clone()));
                let ExitListeners { mut exits } = awaited.map(|it| *it).unwrap_or_default();
                exits.tell(None, &exit);
                self.exits.tell(None, &exit);
                self.lifecycle.tell(Some(exit.child), &Lifecycle::Exited(exit.clone()));
                drop_contained(exits);
            }
        }
    }

    /// The subscription that reads by this cursor, if it is a subscription's.
    pub(super) fn subscription_of(&self, cursor: CursorId) -> Option<SubscriptionId> {
        self.outputs.iter().find(|it| it.cursor == cursor).map(|it| it.id)
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
                self.outputs.push_back(OutputSubscriber { id, recipient, cursor, credits, child });
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
        if let Some(place) = self.outputs.iter().position(|subscriber| subscriber.id == id) {
            self.remove(place);
        }
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

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
