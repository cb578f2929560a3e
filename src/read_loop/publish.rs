//! `Publisher`: notifies the subscribers, after the log has been written.

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

/// A turn delivers output for this long. The rest comes with the next turn, which follows at once.
const A_TURN: Duration = Duration::from_millis(1);

/// Notifications to send once the log holds their facts.
#[derive(Debug)]
pub(super) enum Notification {
    /// A spawn or a close.
    Fact(Seq, ChildId, Fact),
    /// An exit, with the recipients that wait for this child.
    Exited {
        exit: ChildExited,
        cell: Arc<ChildCell>,
        awaited: Option<Box<ExitListeners>>,
        /// Dropped after they have been notified.
        process: Option<Arc<Process>>,
    },
}

#[derive(Debug)]
pub(super) struct Publisher {
    link: Arc<Mailbox>,
    exits: Recipients<ChildExited>,
    lifecycle: Recipients<Lifecycle>,
    /// The output subscribers. The front one is served next.
    outputs: VecDeque<OutputSubscriber>,
    /// How many times a subscriber has been served.
    served: u64,
    /// Some subscribers have not received everything yet.
    has_more: bool,
    /// Each is sent once `served` reaches its number: by then every subscriber was served.
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

    /// Delivers output, then sends notifications: a recipient of both gets the output first. Stops
    /// after `A_TURN`, however long a subscriber's history is: see
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

    /// Whether the last turn left something to deliver.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Serves the front subscriber.
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
            Notification::Exited { exit, cell, awaited, process: _process } => {
                // First the sticky status: a recipient of the exit may ask for it.
                cell.settle(Ok(exit.clone()));
                let ExitListeners { mut exits } = awaited.map(|it| *it).unwrap_or_default();
                exits.tell(None, &exit);
                self.exits.tell(None, &exit);
                self.lifecycle.tell(Some(exit.child), &Lifecycle::Exited(exit.clone()));
                drop_contained(exits);
            }
        }
    }

    /// The subscription that uses this cursor, if one does.
    pub(super) fn subscription_of(&self, cursor: CursorId) -> Option<SubscriptionId> {
        self.outputs.iter().find(|it| it.cursor == cursor).map(|it| it.id)
    }

    /// Adds a subscription. `entry` is its child's, if it is for one child that still runs.
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

    /// Notifies all lifecycle subscribers, later ones too, since the change is permanent.
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
