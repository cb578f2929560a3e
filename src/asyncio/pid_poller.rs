//! `PidPoller`: a `SIGCHLD` watcher's work where bystanders keep their children.

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
    /// The kernel names one ended child at a time, without reaping it, which costs the same however
    /// many live. A bystander's child that has ended and waits for its owner hides the ones behind
    /// it; then each is asked after.
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
    /// Watches a child, unless the watcher was closed, which clears the table, just before.
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

    /// Whoever still has a handler was reaped by someone else.
    fn no_children(&self, error: &io::Error) {
        trace::debug!(%error, "no children are left");
        self.handlers.ask_all();
    }
}
