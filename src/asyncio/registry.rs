//! `Registry`: the children of a watcher that waits for each child by its pidfd.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{ExitHandler, Registered, WatchedExit, table::check_pid};
use crate::{
    asyncio::EventLoop,
    sys::{
        pidfd,
        wait::{self, Which},
    },
    types::WatchError,
};

/// The children. Each has its wait, `W`, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Registry<W>(Mutex<Children<W>>);

#[derive(Debug)]
struct Children<W> {
    closed: bool,
    registrations: u64,
    entries: HashMap<i32, Entry<W>>,
}

#[derive(Debug)]
pub(super) struct Entry<W> {
    /// Distinguishes this child from an earlier one that had the same PID.
    registration: u64,
    registered: Registered,
    pidfd: Arc<OwnedFd>,
    wait: W,
}

impl<W> Default for Registry<W> {
    fn default() -> Self {
        let (closed, registrations, entries) = (false, 0, HashMap::new());
        Registry(Mutex::new(Children { closed, registrations, entries }))
    }
}

impl<W> Registry<W> {
    fn lock(&self) -> MutexGuard<'_, Children<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a child and starts its wait with the registration's number. Returns the replaced entry:
    /// its handler's drop may run foreign code, so it must not run under a lock.
    pub(super) fn add(
        &self,
        pid: i32,
        registered: Registered,
        pidfd: OwnedFd,
        start: impl FnOnce(u64, &Arc<OwnedFd>) -> Result<W, WatchError>,
    ) -> Result<Option<Entry<W>>, WatchError> {
        let mut children = self.lock();
        if children.closed {
            return Err(WatchError::Inactive);
        }
        children.registrations += 1;
        let (registration, pidfd) = (children.registrations, Arc::new(pidfd));
        let wait = start(registration, &pidfd)?;
        let entry = Entry { registration, registered, pidfd, wait };
        Ok(children.entries.insert(pid, entry))
    }

    pub(super) fn remove(&self, pid: i32) -> bool {
        let removed = self.lock().entries.remove(&pid);
        removed.is_some()
    }

    /// Reaps a child if it has ended, and notifies its handler, unless that was removed. Returns
    /// true if there is nothing more to wait for.
    pub(super) fn finish(&self, pid: i32, registration: u64) -> io::Result<bool> {
        let (entry, exit) = {
            let mut children = self.lock();
            let entry = children.entries.get(&pid).filter(|it| it.registration == registration);
            let Some(entry) = entry else { return Ok(true) };
            let reaped = wait::reap(Which::Pidfd(entry.pidfd.as_fd()));
            let Some(exit) = WatchedExit::of(pid, reaped)? else { return Ok(false) };
            let Some(entry) = children.entries.remove(&pid) else { return Ok(true) };
            (entry, exit)
        };
        exit.warn_if_lost();
        entry.registered.call(exit);
        Ok(true)
    }

    /// Drops the handler of a child that cannot be waited for.
    pub(super) fn forget(&self, pid: i32, registration: u64) {
        let mut children = self.lock();
        let is_it = |entry: &Entry<W>| entry.registration == registration;
        let is_there = children.entries.get(&pid).is_some_and(is_it);
        let dropped = is_there.then(|| children.entries.remove(&pid));
        drop(children);
        drop(dropped);
    }

    /// Starts a new wait for each child.
    pub(super) fn restart(&self, mut start: impl FnMut(i32, u64, &Arc<OwnedFd>) -> W) {
        for (&pid, entry) in &mut self.lock().entries {
            entry.wait = start(pid, entry.registration, &entry.pidfd);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Drops the handlers and returns the waits. From now on no child can be added.
    pub(super) fn close(&self) -> Vec<W> {
        let entries = {
            let mut children = self.lock();
            children.closed = true;
            std::mem::take(&mut children.entries)
        };
        entries.into_values().map(|entry| entry.wait).collect()
    }
}

/// Returns the handler and its child's pidfd if the child can be watched. If an earlier
/// registration or other code has reaped the child, the handler is called with a lost status.
pub(super) fn admit_with_pidfd(
    pid: i32,
    handler: ExitHandler,
    on: Option<&EventLoop>,
) -> Result<Option<(ExitHandler, OwnedFd)>, WatchError> {
    let Some(handler) = check_pid(pid, handler, on)? else { return Ok(None) };
    match pidfd::open(pid) {
        Ok(pidfd) => Ok(Some((handler, pidfd))),
        Err(error) if wait::is_gone(&error) => {
            handler.call_on(on, WatchedExit::lost(pid));
            Ok(None)
        }
        Err(error) => Err(WatchError::of_child(pid, "open its pidfd")(error)),
    }
}
