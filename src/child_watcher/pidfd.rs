//! `PidfdWatcher`: a pidfd for each child, on the attached loop.

use std::{
    collections::HashMap,
    io::ErrorKind,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::oneshot;

use super::{
    ChildWatcher, ExitHandler, WatchError, WatchedExit,
    contract::warn_of_pending,
    table::{Standing, standing},
};
use crate::{
    EventLoop,
    sys::{
        pidfd, readiness,
        wait::{self, Which},
    },
};

/// Watches each child by its pidfd, on the loop that it is attached to. Handlers' closures run on
/// that loop. The default on Linux.
///
/// asyncio's `PidfdChildWatcher`, but for one thing: handlers outlive a detachment, and a child
/// that ends meanwhile is told at the next attachment.
#[derive(Debug, Default)]
pub struct PidfdWatcher(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    on: Option<EventLoop>,
    closed: bool,
    registrations: u64,
    children: HashMap<i32, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Tells this child from an earlier one that had the same PID.
    registration: u64,
    handler: ExitHandler,
    pidfd: Arc<OwnedFd>,
    /// The task that waits on the attached loop; ends when this is dropped.
    _wait: Option<oneshot::Sender<()>>,
}

impl PidfdWatcher {
    /// A watcher that is not attached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the handler of a child that cannot be waited for.
    fn forget(&self, pid: i32, registration: u64) {
        let mut state = self.lock();
        let is_it = |entry: &Entry| entry.registration == registration;
        let dropped = if state.children.get(&pid).is_some_and(is_it) {
            state.children.remove(&pid)
        } else {
            None
        };
        drop(state);
        drop(dropped);
    }

    /// Reaps a child if it has ended, and tells its handler. True when there is no more to wait for.
    fn finish(&self, pid: i32, registration: u64) -> bool {
        let (entry, exit) = {
            let mut state = self.lock();
            let entry = state.children.get(&pid).filter(|it| it.registration == registration);
            let Some(entry) = entry else { return true };
            let reaped = wait::reap(Which::Pidfd(entry.pidfd.as_fd()));
            let Some(exit) = WatchedExit::of(pid, reaped) else { return false };
            let Some(entry) = state.children.remove(&pid) else { return true };
            (entry, exit)
        };
        entry.handler.call(exit);
        true
    }
}

/// Starts the task that waits for a child.
fn wait_on(
    on: &EventLoop,
    watched: &Arc<Watched>,
    pid: i32,
    registration: u64,
    pidfd: &Arc<OwnedFd>,
) -> oneshot::Sender<()> {
    let (cancel, cancelled) = oneshot::channel();
    let (watched, pidfd) = (Arc::downgrade(watched), Arc::clone(pidfd));
    // Where the loop has ended, the child waits for the next attachment.
    on.spawn(async move {
        tokio::select! {
            _ = cancelled => {}
            Err(error) = ended(&watched, pid, registration, pidfd) => {
                tracing::error!(pid, %error, "a child cannot be waited for on this event loop");
                if let Some(watched) = watched.upgrade() {
                    watched.forget(pid, registration);
                }
            }
        }
    });
    cancel
}

async fn ended(
    watched: &Weak<Watched>,
    pid: i32,
    registration: u64,
    pidfd: Arc<OwnedFd>,
) -> std::io::Result<()> {
    let mut registered = readiness::watch(Arc::clone(&pidfd));
    // The task of the attachment before may not have let go of it yet.
    while matches!(&registered, Err((_, error)) if error.kind() == ErrorKind::AlreadyExists) {
        tokio::task::yield_now().await;
        registered = readiness::watch(Arc::clone(&pidfd));
    }
    let pidfd = registered.map_err(|(_, error)| error)?;
    loop {
        let mut ready = pidfd.readable().await?;
        if watched.upgrade().is_none_or(|watched| watched.finish(pid, registration)) {
            return Ok(());
        }
        ready.clear_ready();
    }
}

impl ChildWatcher for PidfdWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        if !self.is_active() {
            return Err(WatchError::Inactive);
        }
        let state = standing(pid)?;
        let pidfd = match state {
            Standing::Child => {
                pidfd::open(pid).map_err(WatchError::of_child(pid, "open its pidfd"))?
            }
            Standing::Gone => {
                let on = self.0.lock().on.clone();
                handler.call_on(on.as_ref(), WatchedExit::lost(pid));
                return Ok(());
            }
        };
        let mut state = self.0.lock();
        let Some(on) = state.on.clone() else { return Err(WatchError::Inactive) };
        state.registrations += 1;
        let (registration, pidfd) = (state.registrations, Arc::new(pidfd));
        let _wait = Some(wait_on(&on, &self.0, pid, registration, &pidfd));
        let before = state.children.insert(pid, Entry { registration, handler, pidfd, _wait });
        // The replaced handler's drop may run anything.
        drop(state);
        drop(before);
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        let removed = self.0.lock().children.remove(&pid);
        removed.is_some()
    }

    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError> {
        let mut state = self.0.lock();
        if event_loop.as_ref().is_some_and(|it| state.closed || !it.is_running()) {
            return Err(WatchError::Inactive);
        }
        if event_loop.is_some()
            && state.on == event_loop
            && state.on.as_ref().is_some_and(EventLoop::is_running)
        {
            return Ok(());
        }
        warn_of_pending(state.children.len(), state.on.as_ref(), event_loop.as_ref());
        for (&pid, entry) in &mut state.children {
            let wait = |on| wait_on(on, &self.0, pid, entry.registration, &entry.pidfd);
            entry._wait = event_loop.as_ref().map(wait);
        }
        let before = std::mem::replace(&mut state.on, event_loop);
        drop(state);
        drop(before);
        Ok(())
    }

    fn is_active(&self) -> bool {
        self.0.lock().on.as_ref().is_some_and(EventLoop::is_running)
    }

    fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let dropped = (state.on.take(), std::mem::take(&mut state.children));
        drop(state);
        drop(dropped);
    }
}
