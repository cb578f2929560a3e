//! `ChildWatcher`: what a watcher of child processes is, and what can go wrong with one.

use std::{fmt, io};

use super::ExitHandler;
use crate::{
    asyncio::EventLoop,
    restart::{contain, trace},
    types::WatchError,
};

/// A watcher of child processes. It learns that a child of this process has ended, reaps it, and
/// notifies the child's handler once.
///
/// Corresponds to asyncio's `AbstractChildWatcher`. Any child of this process can be watched, not
/// only those that the library spawned. Only the watcher reaps a watched child: nothing else may
/// wait for it. Implementations are used from any thread.
///
/// # The five watchers
///
/// | | how it learns of an exit | needs | cost of an exit | risk |
/// |---|---|---|---|---|
/// | [`PidfdWatcher`](crate::asyncio::PidfdWatcher) | a pidfd for each child, on the attached loop | Linux 5.3, a running loop, a descriptor a child | O(1) | none known |
/// | [`ThreadedWatcher`](crate::asyncio::ThreadedWatcher) | a waiting thread for each child | no loop; a thread and two descriptors a child | O(1) | memory with many children |
/// | [`SafeWatcher`](crate::asyncio::SafeWatcher) | `SIGCHLD` on the attached loop, then asks | a running loop, the signal | O(n) in the kernel, which walks its list of all children (0.3 ms with 5,000); the watcher also asks after each child at most four times a second | other code may change the signal's disposition |
/// | [`FastWatcher`](crate::asyncio::FastWatcher) | `SIGCHLD` on the attached loop, then reaps every ended child | the same, and the guard at every spawn | as above | takes the status of children that other code waits for |
/// | [`MultiLoopWatcher`](crate::asyncio::MultiLoopWatcher) | `SIGCHLD` on a thread of its own | the signal | as `SafeWatcher` | as `SafeWatcher` |
///
/// Choose `PidfdWatcher` on Linux. `ThreadedWatcher` is for systems without pidfds, and for
/// programs that cannot rely on a loop. The `SIGCHLD` watchers are for parity with asyncio, and for
/// programs that can spare neither threads nor descriptors. If other code takes a child's status,
/// and another child gets the PID before the watcher asks, the watcher takes that child for the
/// first; a pidfd excludes this.
///
/// # What happens to handlers
///
/// | | detach | re-attach | close |
/// |---|---|---|---|
/// | Pidfd, Safe, Fast | kept; a child that ends meanwhile stays a zombie | notified of each of these exits at once | dropped, not called |
/// | Threaded, MultiLoop | no effect | no effect | dropped, not called |
///
/// Leaving a loop with pending handlers logs a warning. The watcher does not reap a child whose
/// handler was removed or dropped: its owner waits for it again. (`FastWatcher` still reaps it.)
pub trait ChildWatcher: fmt::Debug + Send + Sync {
    /// Calls the handler with the exit of the child that has this PID. A second handler for the
    /// same PID replaces the first, which is then never called. The child may have ended already,
    /// if it is not reaped yet.
    ///
    /// # Errors
    ///
    /// [`WatchError::Inactive`] if the watcher is detached or closed, [`WatchError::NotAChild`] if
    /// the PID is another process's child, [`WatchError::System`] if a resource is lacking.
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError>;

    /// Removes the PID's handler, which is then never called. Returns false if there is none.
    fn remove_child_handler(&self, pid: i32) -> bool;

    /// Detaches the watcher from its loop, and attaches it to this one; `None` only detaches.
    ///
    /// # Errors
    ///
    /// [`WatchError::Inactive`] if the watcher is closed or the loop has ended,
    /// [`WatchError::System`] if the signal cannot be handled.
    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError>;

    /// Whether the watcher is ready to watch. Nothing is spawned with an inactive watcher.
    fn is_active(&self) -> bool;

    /// Closes the watcher and frees what it holds. It drops the handlers; children live on.
    fn close(&self);

    /// Returns a guard: hold it from before a spawn until the child's handler is added. Meanwhile a
    /// watcher that reaps every ended child keeps the statuses of unknown children.
    fn registering(&self) -> Registering {
        Registering::default()
    }
}

/// The guard around a spawn: see [`ChildWatcher::registering`].
#[derive(Default)]
#[must_use = "it is to be held until the handler is added"]
pub struct Registering(Option<Box<dyn FnOnce() + Send>>);

impl Registering {
    /// A guard that runs `end` when it is dropped.
    pub fn until(end: impl FnOnce() + Send + 'static) -> Self {
        Registering(Some(Box::new(end)))
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            contain("the end of a registration", end);
        }
    }
}

impl fmt::Debug for Registering {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Registering")
    }
}

impl WatchError {
    pub(super) fn of_child(pid: i32, step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| WatchError::System { what: format!("child {pid}"), step, source }
    }
}

/// Warns if a watcher with pending handlers has left a loop, for another loop or for none.
pub(super) fn warn_of_pending(handlers: usize, from: Option<&EventLoop>, to: Option<&EventLoop>) {
    if handlers > 0 && from.is_some() && from != to {
        trace::warn!(
            handlers,
            attached_again = to.is_some(),
            "a child watcher leaves its event loop with pending handlers: it tells their exits on \
             the loop that it is attached to next",
        );
    }
}
