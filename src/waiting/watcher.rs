//! `Watcher`: the actor that owns `ChildId -> Waiter`, as asyncio's child watcher owns its PIDs.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Supervised};

use super::{Adopt, SendSignal, WaiterTable, messages::Reaped, table::Kept, waiter::Waiter};
use crate::{
    SignalError,
    process::Process,
    restart::{Supervisor, fault_point},
    types::Part,
};

/// The first and the longest pause between checks for a group whose leader has ended. Nothing
/// notifies of its end, and only a descriptor depends on it.
const GROUPS_SOON: Duration = Duration::from_millis(50);
const GROUPS_LATE: Duration = Duration::from_secs(10);

/// The watcher. Its table and inbox are outside, so that a restart adopts every live child.
#[derive(Debug)]
pub(crate) struct Watcher {
    table: Rc<WaiterTable>,
    supervisor: Rc<Supervisor>,
    /// The pause before the next check of the groups; `None` if none is scheduled.
    groups_pause: Option<Duration>,
}

impl Watcher {
    pub(crate) fn new(table: Rc<WaiterTable>, supervisor: Rc<Supervisor>) -> Self {
        Watcher { table, supervisor, groups_pause: None }
    }

    fn adopt(&self, watcher: &Addr<Watcher>) {
        fault_point!(WatcherBeforeAdopt);
        while let Some(process) = self.table.adopt() {
            fault_point!(WatcherAfterAdopt);
            self.start_waiter(process, watcher);
        }
    }

    fn start_waiter(&self, process: Arc<Process>, watcher: &Addr<Watcher>) {
        let (id, watcher) = (process.id(), watcher.downgrade());
        let waiter = self.supervisor.start(Part::Waiter, Waiter { process, watcher });
        if let Some(kept) = self.table.kept.borrow_mut().get_mut(&id) {
            kept.waiter = Some(waiter);
        }
    }

    /// Schedules a check of the groups, unless one is already scheduled.
    fn watch_groups(&mut self, context: &mut Context<Self>) {
        if self.groups_pause.is_none() {
            self.groups_pause = Some(GROUPS_SOON);
            context.run_later(GROUPS_SOON, Self::look_at_groups);
        }
    }

    fn look_at_groups(&mut self, context: &mut Context<Self>) {
        self.groups_pause = match self.table.forget_ended_groups() {
            0 => None,
            _ => self.groups_pause.map(|pause| (pause * 2).min(GROUPS_LATE)),
        };
        if let Some(pause) = self.groups_pause {
            context.run_later(pause, Self::look_at_groups);
        }
    }
}

impl Actor for Watcher {
    type Context = Context<Self>;

    /// Runs after a restart too: starts the missing waiters and empties the inbox.
    fn started(&mut self, context: &mut Self::Context) {
        let missing: Vec<_> = {
            let kept = self.table.kept.borrow();
            let missing =
                kept.values().filter(|kept| kept.waiter.is_none()).map(|kept| &kept.process);
            // The read loop may have reaped one already: its waiter finds that out and reports it.
            missing.cloned().collect()
        };
        let watcher = context.address();
        for process in missing {
            self.start_waiter(process, &watcher);
        }
        self.groups_pause = None;
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

    fn handle(&mut self, Reaped(child): Reaped, context: &mut Self::Context) {
        if self.table.reported(child) {
            self.watch_groups(context);
        }
    }
}

impl Handler<SendSignal> for Watcher {
    type Result = Result<(), SignalError>;

    fn handle(&mut self, message: SendSignal, _: &mut Self::Context) -> Self::Result {
        let process = match self.table.kept.borrow().get(&message.child) {
            Some(Kept { process, .. }) => Arc::clone(process),
            None => return Err(SignalError::Ended(message.child)),
        };
        process.signal(message.signal, message.target)
    }
}
