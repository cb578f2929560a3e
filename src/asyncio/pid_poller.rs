//! `PidPoller`: the work of a `SIGCHLD` watcher that leaves other code's children alone.

use std::io;

use super::{HandlerTable, Registered, sigchld::Collector};
use crate::{
    sys::wait::{self, Which},
    types::WatchError,
};

use crate::restart::trace;

/// Asks only after the children that have a handler.
#[derive(Debug, Default)]
pub(super) struct PidPoller {
    pub(super) handlers: HandlerTable,
}

impl Collector for PidPoller {
    /// The kernel names one ended child at a time, without reaping it, at a cost that does not grow
    /// with the living children. If other code has not yet reaped an ended child of its own, that
    /// child hides those behind it; then each child is asked after.
    fn collect(&self) {
        loop {
            match wait::peek(Which::Any) {
                Ok(Some(ended)) if self.handlers.lock().contains_key(&ended.pid) => {
                    self.handlers.ask(ended.pid);
                }
                Ok(Some(_)) => return self.handlers.ask_all(),
                Ok(None) => return,
                Err(error) => return self.no_children(&error),
            }
        }
    }

    fn collect_all(&self) {
        self.handlers.ask_all();
    }
}

impl PidPoller {
    /// Watches a child, unless the watcher was closed just before, which clears the table.
    pub(super) fn watch(
        &self,
        pid: i32,
        registered: Registered,
        is_active: impl FnOnce() -> bool,
    ) -> Result<(), WatchError> {
        self.handlers.insert(pid, registered);
        if !is_active() && self.handlers.remove(pid) {
            return Err(WatchError::Inactive);
        }
        Ok(())
    }

    /// Other code has reaped every child that still has a handler.
    fn no_children(&self, error: &io::Error) {
        trace::debug!(%error, "no children are left");
        self.handlers.ask_all();
    }
}
