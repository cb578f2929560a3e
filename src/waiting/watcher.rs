//! `Watcher`: the actor that owns `ChildId -> Waiter`, as asyncio's child watcher owns its PIDs.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, ResponseFuture, Supervised};

use super::{
    Adopt, ChildSlot, Released, Signal, Target, WaiterTable, messages::Reaped, table::Kept,
    waiter::Waiter,
};
use crate::{
    ChildId, PolicyStopped, SignalError,
    supervise::{Part, Supervisor, fault_point},
};

/// The watcher. Its table and its inbox are outside, so that a restart adopts every live child.
#[derive(Debug)]
pub(crate) struct Watcher {
    table: Rc<WaiterTable>,
    supervisor: Rc<Supervisor>,
}

impl Watcher {
    pub(crate) fn new(table: Rc<WaiterTable>, supervisor: Rc<Supervisor>) -> Self {
        Watcher { table, supervisor }
    }

    fn adopt(&self, watcher: &Addr<Watcher>) {
        fault_point!(WatcherBeforeAdopt);
        while let Some(slot) = self.table.adopt() {
            fault_point!(WatcherAfterAdopt);
            self.start_waiter(slot, watcher);
        }
    }

    fn start_waiter(&self, slot: Arc<ChildSlot>, watcher: &Addr<Watcher>) {
        let (id, watcher) = (slot.id(), watcher.downgrade());
        let waiter = self.supervisor.start(Part::Waiter, Waiter { slot, watcher });
        if let Some(kept) = self.table.kept.borrow_mut().get_mut(&id) {
            kept.waiter = Some(waiter);
        }
    }

    fn forget(&self, child: ChildId) {
        self.table.kept.borrow_mut().remove(&child);
        self.table.changed.notify_waiters();
    }
}

impl Actor for Watcher {
    type Context = Context<Self>;

    /// Also after a restart: starts the waiters that are missing and takes what is in the inbox.
    fn started(&mut self, context: &mut Self::Context) {
        let missing: Vec<_> = {
            let kept = self.table.kept.borrow();
            let missing = kept.values().filter(|kept| kept.waiter.is_none()).map(|kept| &kept.slot);
            // The read loop may have reported one before it had a waiter; only a leader's has ended.
            let at_work = missing.filter(|slot| slot.is_unreported() || !slot.leads_group());
            at_work.cloned().collect()
        };
        let watcher = context.address();
        for slot in missing {
            self.start_waiter(slot, &watcher);
        }
        self.adopt(&watcher);
    }
}

impl Supervised for Watcher {}

impl Handler<Adopt> for Watcher {
    type Result = ();

    fn handle(&mut self, _: Adopt, context: &mut Self::Context) {
        self.adopt(&context.address());
    }
}

impl Handler<Reaped> for Watcher {
    type Result = ();

    fn handle(&mut self, Reaped(child): Reaped, _: &mut Self::Context) {
        {
            let mut table = self.table.kept.borrow_mut();
            let Some(kept) = table.get_mut(&child) else { return };
            if kept.slot.leads_group() {
                // Its descendants may hold the pipes; the group can still be signalled.
                kept.waiter = None;
                self.table.changed.notify_waiters();
                return;
            }
        }
        self.forget(child);
    }
}

impl Handler<Released> for Watcher {
    type Result = ();

    /// The read loop may tell it before the watcher has looked into the inbox.
    fn handle(&mut self, Released(child): Released, context: &mut Self::Context) {
        let adopted: Vec<_> = std::iter::from_fn(|| self.table.adopt()).collect();
        // Before anything that can panic: that loses the message.
        self.forget(child);
        for slot in adopted.into_iter().filter(|slot| slot.id() != child) {
            self.start_waiter(slot, &context.address());
        }
    }
}

impl Handler<Signal> for Watcher {
    type Result = ResponseFuture<Result<(), SignalError>>;

    fn handle(&mut self, message: Signal, _: &mut Self::Context) -> Self::Result {
        let table = self.table.kept.borrow();
        match table.get(&message.child) {
            Some(Kept { waiter: Some(waiter), .. }) => {
                let sent = waiter.send(message);
                Box::pin(async move {
                    sent.await.unwrap_or(Err(SignalError::Stopped(PolicyStopped::Shutdown)))
                })
            }
            Some(Kept { slot, waiter: None }) if message.target == Target::Group => {
                Box::pin(std::future::ready(slot.signal(message.signal, message.target)))
            }
            _ => Box::pin(std::future::ready(Err(SignalError::Ended(message.child)))),
        }
    }
}
