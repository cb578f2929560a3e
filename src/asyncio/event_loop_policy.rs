//! `EventLoopPolicy`: which thread has which loop, and which watcher the children have; and the
//! policy of the process.

use std::{
    fmt, io,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use super::{EventLoop, default_policy::DefaultPolicy};
use crate::{asyncio::ChildWatcher, types::WatchError};

/// There is no event loop for this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this thread has no event loop: none runs on it, and none was set for it")]
pub struct NoEventLoop;

/// A policy: it gives each thread its event loop, and the process its child watcher.
///
/// The place of asyncio's event loop policy. Every method has a default, that of the default
/// policy: implement what you want to be different, and nothing else.
///
/// ```
/// use std::sync::{Arc, LazyLock};
/// use actix_process::asyncio::{
///     ChildWatcher, EventLoopPolicy, ThreadedWatcher, child_watcher, set_event_loop_policy,
/// };
///
/// #[derive(Debug)]
/// struct Threads(LazyLock<Arc<ThreadedWatcher>>);
///
/// impl EventLoopPolicy for Threads {
///     fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, actix_process::asyncio::WatchError> {
///         Ok(Arc::clone(&*self.0) as _)
///     }
/// }
///
/// let policy = Threads(LazyLock::new(|| Arc::new(ThreadedWatcher::new())));
/// set_event_loop_policy(Some(Arc::new(policy)));
/// assert!(child_watcher()?.is_active());
/// set_event_loop_policy(None);
/// # Ok::<_, actix_process::asyncio::WatchError>(())
/// ```
pub trait EventLoopPolicy: fmt::Debug + Send + Sync {
    /// The current thread's loop: the one that was set for it, or else the one that runs on it.
    ///
    /// # Errors
    ///
    /// [`NoEventLoop`] where there is neither.
    fn event_loop(&self) -> Result<EventLoop, NoEventLoop> {
        DEFAULT.event_loop()
    }

    /// Sets the current thread's loop; `None` returns to the one that runs on it. On the thread
    /// whose loop the default policy's watcher is attached to, the watcher goes with it.
    fn set_event_loop(&self, event_loop: Option<EventLoop>) {
        DEFAULT.set_event_loop(event_loop);
    }

    /// A new loop on a thread of its own; it is not set for any thread.
    ///
    /// # Errors
    ///
    /// Where the thread or its runtime cannot be made.
    fn new_event_loop(&self) -> io::Result<EventLoop> {
        EventLoop::start()
    }

    /// The watcher of child processes: made at the first call, the same afterwards. The default
    /// policy's is a [`PidfdWatcher`](crate::asyncio::PidfdWatcher), attached to the loop of the thread that
    /// asks first for it while it has one.
    ///
    /// # Errors
    ///
    /// [`WatchError`] where a watcher cannot be made or attached.
    fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, WatchError> {
        DEFAULT.child_watcher()
    }

    /// Sets the watcher, and closes the one before it; with `None` the next call of
    /// [`child_watcher`](EventLoopPolicy::child_watcher) makes a new one.
    fn set_child_watcher(&self, watcher: Option<Arc<dyn ChildWatcher>>) {
        DEFAULT.set_child_watcher(watcher);
    }
}

/// Made at its first use, and never again.
static DEFAULT: LazyLock<Arc<DefaultPolicy>> = LazyLock::new(Arc::default);
static CHOSEN: RwLock<Option<Arc<dyn EventLoopPolicy>>> = RwLock::new(None);

/// The policy of this process. Without one that was set, the default one, made once.
#[must_use]
pub fn event_loop_policy() -> Arc<dyn EventLoopPolicy> {
    chosen().unwrap_or_else(|| Arc::clone(&*DEFAULT) as _)
}

/// Sets the policy of this process; `None` restores the default one.
pub fn set_event_loop_policy(policy: Option<Arc<dyn EventLoopPolicy>>) {
    let before =
        std::mem::replace(&mut *CHOSEN.write().unwrap_or_else(PoisonError::into_inner), policy);
    // Its drop may run anything: not under the lock.
    drop(before);
}

/// The current policy's child watcher.
///
/// # Errors
///
/// As [`EventLoopPolicy::child_watcher`].
pub fn child_watcher() -> Result<Arc<dyn ChildWatcher>, WatchError> {
    event_loop_policy().child_watcher()
}

/// Sets the current policy's child watcher, and closes the one before it.
pub fn set_child_watcher(watcher: Option<Arc<dyn ChildWatcher>>) {
    event_loop_policy().set_child_watcher(watcher);
}

fn chosen() -> Option<Arc<dyn EventLoopPolicy>> {
    CHOSEN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The watcher that a new [`Policy`](crate::Policy) is to host, where someone has chosen: a policy
/// of the process, or a watcher of the default one. Otherwise its waiters do the work themselves.
pub(crate) fn chosen_watcher() -> Result<Option<Arc<dyn ChildWatcher>>, WatchError> {
    match chosen() {
        Some(policy) => policy.child_watcher().map(Some),
        None => Ok(DEFAULT.chosen_watcher()),
    }
}
