//! `SafeWatcher`: handles `SIGCHLD` on the attached loop, and then asks after its children.

use std::sync::Arc;

use super::{
    ChildWatcher, ExitHandler, Registered, pid_poller::PidPoller, sigchld::Attachment,
    table::check_pid,
};
use crate::{asyncio::EventLoop, types::WatchError};

/// Handles `SIGCHLD` on the attached loop, and asks after its own children only: the children of
/// other code keep their status. Handlers' closures run on that loop. The signal's earlier handler
/// is called too, and restored at a detachment.
///
/// asyncio's `SafeChildWatcher`, but it may be attached to any thread's loop, handlers outlive a
/// detachment, and an exit is found also if the signal was ignored or taken away.
#[derive(Debug, Default)]
pub struct SafeWatcher {
    pid_poller: Arc<PidPoller>,
    attachment: Attachment,
}

impl SafeWatcher {
    /// A watcher that is not attached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl ChildWatcher for SafeWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        let on = self.attachment.on()?;
        let Some(handler) = check_pid(pid, handler, Some(&on))? else { return Ok(()) };
        let registered = Registered { handler, on: None };
        self.pid_poller.watch(pid, registered, || self.is_active())?;
        // The child may have ended before this, and its signal has passed: ask, on the loop.
        let pid_poller = Arc::clone(&self.pid_poller);
        on.spawn(async move { pid_poller.handlers.ask(pid) });
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.pid_poller.handlers.remove(pid)
    }

    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError> {
        // A step of its own, so that the lock is free while the earlier loop is released.
        let pending = self.pid_poller.handlers.lock().len();
        self.attachment.change(event_loop, &self.pid_poller, pending)
    }

    fn is_active(&self) -> bool {
        self.attachment.on().is_ok()
    }

    fn close(&self) {
        self.attachment.close();
        self.pid_poller.handlers.clear();
    }
}
