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

/// A policy: it assigns each thread its event loop, and the process its child watcher.
///
/// Corresponds to asyncio's event loop policy. Every method defaults to the default policy's:
/// implement only what you want to be different.
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
    /// The current thread's loop: the loop set for it, or else the loop that runs on it.
    ///
    /// # Errors
    ///
    /// [`NoEventLoop`] if there is neither.
    fn event_loop(&self) -> Result<EventLoop, NoEventLoop> {
        DEFAULT.event_loop()
    }

    /// Sets the current thread's loop; `None` restores the loop that runs on it. If the default
    /// policy's watcher is attached to this thread's loop, it moves to the new one.
    fn set_event_loop(&self, event_loop: Option<EventLoop>) {
        DEFAULT.set_event_loop(event_loop);
    }

    /// Starts a new loop on a thread of its own. It is not set for any thread.
    ///
    /// # Errors
    ///
    /// If the thread or its runtime cannot be made.
    fn new_event_loop(&self) -> io::Result<EventLoop> {
        EventLoop::start()
    }

    /// The watcher of child processes: made at the first call, the same afterwards. The default
    /// policy's is a [`PidfdWatcher`](crate::asyncio::PidfdWatcher), attached to the loop of the
    /// first calling thread that has one.
    ///
    /// # Errors
    ///
    /// [`WatchError`] if a watcher cannot be made or attached.
    fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, WatchError> {
        DEFAULT.child_watcher()
    }

    /// Sets the watcher and closes the earlier one. With `None`, the next call of
    /// [`child_watcher`](EventLoopPolicy::child_watcher) makes a new one.
    fn set_child_watcher(&self, watcher: Option<Arc<dyn ChildWatcher>>) {
        DEFAULT.set_child_watcher(watcher);
    }
}

/// Made once, at its first use.
static DEFAULT: LazyLock<Arc<DefaultPolicy>> = LazyLock::new(Arc::default);
static CHOSEN: RwLock<Option<Arc<dyn EventLoopPolicy>>> = RwLock::new(None);

/// The policy of this process: the one that was set, or else the default policy, made once.
#[must_use]
pub fn event_loop_policy() -> Arc<dyn EventLoopPolicy> {
    chosen().unwrap_or_else(|| Arc::clone(&*DEFAULT) as _)
}

/// Sets the policy of this process; `None` restores the default policy.
pub fn set_event_loop_policy(policy: Option<Arc<dyn EventLoopPolicy>>) {
    let before =
        std::mem::replace(&mut *CHOSEN.write().unwrap_or_else(PoisonError::into_inner), policy);
    // Its drop may run foreign code: not under the lock.
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

/// Sets the current policy's child watcher, and closes the earlier one.
pub fn set_child_watcher(watcher: Option<Arc<dyn ChildWatcher>>) {
    event_loop_policy().set_child_watcher(watcher);
}

fn chosen() -> Option<Arc<dyn EventLoopPolicy>> {
    CHOSEN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The watcher that a new [`Policy`](crate::Policy) hosts, if the program chose one: a policy of
/// the process, or a watcher of the default one. Otherwise the policy's waiters do the work.
pub(crate) fn chosen_watcher() -> Result<Option<Arc<dyn ChildWatcher>>, WatchError> {
    match chosen() {
        Some(policy) => policy.child_watcher().map(Some),
        None => Ok(DEFAULT.chosen_watcher()),
    }
}
