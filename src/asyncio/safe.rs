//! `SafeWatcher`: `SIGCHLD` on the attached loop, and then asks.

use std::sync::Arc;

use super::{
    ChildWatcher, ExitHandler, Registered, asking::Asking, sigchld::Attachment, table::admit,
};
use crate::{asyncio::EventLoop, types::WatchError};

/// Handles `SIGCHLD` on the loop that it is attached to, and asks after its own children only:
/// those of others keep their status. Handlers' closures run on that loop. The signal's earlier
/// handler is called too, and restored at a detachment.
///
/// asyncio's `SafeChildWatcher`, but it may be attached to any thread's loop, handlers outlive a
/// detachment, and an exit is found also where the signal was ignored or taken away.
#[derive(Debug, Default)]
pub struct SafeWatcher {
    asking: Arc<Asking>,
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
        let Some(handler) = admit(pid, handler, Some(&on))? else { return Ok(()) };
        let registered = Registered { handler, on: None };
        self.asking.watch(pid, registered, || self.is_active())?;
        // It may have ended before: its signal has come and gone. On the loop, as ever.
        let asking = Arc::clone(&self.asking);
        on.spawn(async move { asking.handlers.ask(pid) });
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.asking.handlers.remove(pid)
    }

    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError> {
        // On its own: the lock is not to be held while the loop before is let go of.
        let pending = self.asking.handlers.lock().len();
        self.attachment.change(event_loop, &self.asking, pending)
    }

    fn is_active(&self) -> bool {
        self.attachment.on().is_ok()
    }

    fn close(&self) {
        self.attachment.close();
        self.asking.handlers.clear();
    }
}
