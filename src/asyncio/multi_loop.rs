//! `MultiLoopWatcher`: handles `SIGCHLD` for the whole process; each handler runs on its own loop.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    ChildWatcher, ExitHandler, Registered, pid_poller::PidPoller, sigchld::Listening,
    table::check_pid,
};
use crate::{asyncio::EventLoop, types::WatchError};

/// Handles `SIGCHLD` on a thread of its own until it is closed, and asks after its own children
/// only. It needs no loop: attaching has no effect. A handler's closure runs on the loop of the
/// thread that added it. If that thread has none, it runs on the watcher's thread.
///
/// The close restores the signal's earlier disposition, unless other code has changed it.
///
/// asyncio's `MultiLoopChildWatcher`, but a signal during a registration cannot make a status look
/// lost, and an exit is found also if the signal was ignored or taken away.
#[derive(Debug)]
pub struct MultiLoopWatcher {
    pid_poller: Arc<PidPoller>,
    listening: Mutex<Option<Listening>>,
}

impl MultiLoopWatcher {
    /// A watcher, ready for use.
    ///
    /// # Errors
    ///
    /// [`WatchError::System`] if the signal cannot be handled or the thread cannot be made.
    pub fn new() -> Result<Self, WatchError> {
        let on = EventLoop::start().map_err(|source| WatchError::System {
            what: "SIGCHLD".into(),
            step: "start its thread",
            source,
        })?;
        let pid_poller = Arc::default();
        let listening = Listening::start(on, &pid_poller)?;
        Ok(MultiLoopWatcher { pid_poller, listening: Mutex::new(Some(listening)) })
    }
}

impl ChildWatcher for MultiLoopWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        if !self.is_active() {
            return Err(WatchError::Inactive);
        }
        let on = EventLoop::current();
        let Some(handler) = check_pid(pid, handler, on.as_ref())? else { return Ok(()) };
        self.pid_poller.watch(pid, Registered { handler, on }, || self.is_active())?;
        // The child may have ended before this, and its signal has passed.
        self.pid_poller.handlers.ask(pid);
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.pid_poller.handlers.remove(pid)
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
        if self.is_active() { Ok(()) } else { Err(WatchError::Inactive) }
    }

    fn is_active(&self) -> bool {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn close(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(listening);
        self.pid_poller.handlers.clear();
    }
}

impl Drop for MultiLoopWatcher {
    fn drop(&mut self) {
        self.close();
    }
}
