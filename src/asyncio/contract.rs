//! `ChildWatcher`: what a watcher of child processes is, and what can go wrong with one.

use std::{fmt, io};

use super::ExitHandler;
use crate::{
    asyncio::EventLoop,
    restart::{contain, trace},
    types::WatchError,
};

/// A watcher of child processes: it learns when a child of this process has ended, reaps it, and
/// tells the child's handler, once.
///
/// The place of asyncio's `AbstractChildWatcher`. Any child of this process can be watched, not
/// only those that the library spawned; a watched child is the watcher's to reap, so nothing else
/// may wait for it. Implementations are used from any thread.
///
/// # The five watchers
///
/// | | how it learns of an exit | needs | cost of an exit | risk |
/// |---|---|---|---|---|
/// | [`PidfdWatcher`](crate::asyncio::PidfdWatcher) | a pidfd for each child, on the attached loop | Linux 5.3, a running loop, a descriptor a child | O(1) | none known |
/// | [`ThreadedWatcher`](crate::asyncio::ThreadedWatcher) | a waiting thread for each child | no loop; a thread and two descriptors a child | O(1) | memory with many children |
/// | [`SafeWatcher`](crate::asyncio::SafeWatcher) | `SIGCHLD` on the attached loop, then asks | a running loop, the signal | O(n) in the kernel, which walks its list of all children (0.3 ms with 5,000); besides, each child is asked after at most four times a second | others may change the signal's disposition |
/// | [`FastWatcher`](crate::asyncio::FastWatcher) | `SIGCHLD` on the attached loop, reaps whatever ended | the same, and the guard at every spawn | as above | takes the status of children that others wait for |
/// | [`MultiLoopWatcher`](crate::asyncio::MultiLoopWatcher) | `SIGCHLD` on a thread of its own | the signal | as `SafeWatcher` | as `SafeWatcher` |
///
/// Choose the first on Linux. `ThreadedWatcher` is for systems without pidfds, and for programs in
/// which no loop can be relied on. The `SIGCHLD` watchers are there for parity with asyncio, and for
/// where neither threads nor descriptors can be spared. With any of them a PID whose status was
/// stolen, and which was given to another child before the watcher asked, is taken for that child;
/// a pidfd excludes it.
///
/// # What happens to handlers
///
/// | | detach | re-attach | close |
/// |---|---|---|---|
/// | Pidfd, Safe, Fast | kept; a child that ends meanwhile stays a zombie | each such exit is told at once | dropped, not called |
/// | Threaded, MultiLoop | no effect | no effect | dropped, not called |
///
/// To leave a loop with pending handlers warns. A child whose handler was removed or dropped is not
/// reaped by the watcher: it is again its owner's to wait for. (`FastWatcher` reaps all the same.)
pub trait ChildWatcher: fmt::Debug + Send + Sync {
    /// Has the handler called with the exit of the child that has this PID; a second handler for
    /// the same PID replaces the first, which is then never called. Also for a child that has ended
    /// already, as long as nobody has reaped it.
    ///
    /// # Errors
    ///
    /// [`WatchError::Inactive`] where the watcher is detached or closed, [`WatchError::NotAChild`]
    /// where the PID is another process's child, [`WatchError::System`] where a resource is lacking.
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError>;

    /// Removes the PID's handler, which is then never called; false where there is none.
    fn remove_child_handler(&self, pid: i32) -> bool;

    /// Attaches the watcher to a loop, after detaching it from the one before; `None` only detaches.
    ///
    /// # Errors
    ///
    /// [`WatchError::Inactive`] where the watcher is closed or the loop has ended,
    /// [`WatchError::System`] where the signal cannot be handled.
    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError>;

    /// Whether it is ready to watch. With an inactive watcher nothing is spawned.
    fn is_active(&self) -> bool;

    /// Ends the watcher and frees what it holds. Handlers are dropped; children live on.
    fn close(&self);

    /// To be held from before a spawn until the child's handler is added. Watchers that reap
    /// whatever has ended keep the statuses of unknown children meanwhile.
    fn registering(&self) -> Registering {
        Registering::default()
    }
}

/// The guard around a spawn: see [`ChildWatcher::registering`].
#[derive(Default)]
#[must_use = "it is to be held until the handler is added"]
pub struct Registering(Option<Box<dyn FnOnce() + Send>>);

impl Registering {
    /// A guard that runs this when it is dropped.
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

/// To be called when a watcher with so many handlers has left one loop for another, or for none.
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
