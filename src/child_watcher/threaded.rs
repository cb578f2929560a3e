//! `ThreadedWatcher`: a waiting thread for each child.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::{
    ChildWatcher, ExitHandler, Registered, WatchError, WatchedExit,
    table::{Standing, standing},
};
use crate::{
    EventLoop,
    sys::{
        pidfd,
        wait::{self, Which},
    },
};

/// Waits for each child on a thread of its own. It needs no loop: attaching has no effect, and it
/// is active until it is closed. A handler's closure runs on the loop of the thread that added it,
/// and on the waiting thread where that has none.
///
/// asyncio's `ThreadedChildWatcher`, but a handler can be replaced and removed, and the waiting
/// threads end with it and with the watcher.
#[derive(Debug, Default)]
pub struct ThreadedWatcher(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    registrations: u64,
    children: HashMap<i32, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Tells this child from an earlier one that had the same PID.
    registration: u64,
    registered: Registered,
    thread: Thread,
}

/// A waiting thread; told to end by the drop.
#[derive(Debug)]
struct Thread {
    cancel: Arc<EventFd>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        // A counter at its limit, the only error, wakes the thread too.
        let _ = self.cancel.write(1);
    }
}

/// A waiting thread calls a few functions and at the end a handler.
const STACK: usize = 256 * 1024;

impl ThreadedWatcher {
    /// A watcher, ready for use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaps the child, which has ended, and tells its handler; unless that was removed. False where
    /// the child cannot be reaped yet.
    fn finish(&self, pid: i32, registration: u64, pidfd: &OwnedFd) -> bool {
        let (entry, exit) = {
            let mut state = self.lock();
            let current = state.children.get(&pid);
            if current.is_none_or(|entry| entry.registration != registration) {
                return true;
            }
            let reaped = wait::reap(Which::Pidfd(pidfd.as_fd()));
            let Some(exit) = WatchedExit::of(pid, reaped) else { return false };
            let Some(entry) = state.children.remove(&pid) else { return true };
            (entry, exit)
        };
        let Entry { registered, mut thread, .. } = entry;
        drop(thread.handle.take());
        registered.call(exit);
        true
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

    /// The life of a waiting thread.
    fn wait(&self, pid: i32, registration: u64, pidfd: &OwnedFd, cancel: &EventFd) {
        let pidfd_and_cancel = [pidfd.as_fd(), cancel.as_fd()];
        let mut ended = blocked(&pidfd_and_cancel, PollTimeout::NONE);
        loop {
            match ended {
                Ok(true) if self.finish(pid, registration, pidfd) => return,
                // It is being traced, and its tracer has not let it go yet.
                Ok(true) => ended = blocked(&pidfd_and_cancel[1..], TRACED.into()),
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(pid, %error, "a child cannot be waited for");
                    return self.forget(pid, registration);
                }
            }
        }
    }
}

/// How often a traced child that has ended is asked after, in milliseconds.
const TRACED: u8 = 20;

/// Blocks until there is something to be read, or the time is over; false where the last one, which
/// cancels the wait, is readable.
fn blocked(descriptors: &[BorrowedFd<'_>], timeout: PollTimeout) -> io::Result<bool> {
    let mut polled: Vec<_> =
        descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    while let Err(error) = poll(&mut polled, timeout) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    Ok(polled.last().and_then(PollFd::any) != Some(true))
}

impl ChildWatcher for ThreadedWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        if !self.is_active() {
            return Err(WatchError::Inactive);
        }
        let registered = Registered { handler, on: EventLoop::current() };
        if standing(pid)? == Standing::Gone {
            registered.call(WatchedExit::lost(pid));
            return Ok(());
        }
        let error = |step| WatchError::of_child(pid, step);
        let pidfd = pidfd::open(pid).map_err(error("open its pidfd"))?;
        let cancel = EventFd::from_flags(EfdFlags::EFD_CLOEXEC);
        let cancel = Arc::new(cancel.map_err(io::Error::from).map_err(error("make its eventfd"))?);
        let mut state = self.0.lock();
        if state.closed {
            return Err(WatchError::Inactive);
        }
        state.registrations += 1;
        let registration = state.registrations;
        let (watched, cancelled) = (Arc::clone(&self.0), Arc::clone(&cancel));
        let run = move || watched.wait(pid, registration, &pidfd, &cancelled);
        let thread = thread::Builder::new().name("actix-process-wait".into()).stack_size(STACK);
        let handle = thread.spawn(run).map_err(error("start its thread"))?;
        let thread = Thread { cancel, handle: Some(handle) };
        let before = state.children.insert(pid, Entry { registration, registered, thread });
        // The replaced handler's drop may run anything.
        drop(state);
        drop(before);
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        let removed = self.0.lock().children.remove(&pid);
        removed.is_some()
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
        if self.is_active() { Ok(()) } else { Err(WatchError::Inactive) }
    }

    fn is_active(&self) -> bool {
        !self.0.lock().closed
    }

    fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let children = std::mem::take(&mut state.children);
        drop(state);
        for entry in children.into_values() {
            let Entry { registered, mut thread, .. } = entry;
            let handle = thread.handle.take();
            drop((thread, registered));
            if let Some(handle) = handle.filter(|it| it.thread().id() != thread::current().id())
                && handle.join().is_err()
            {
                tracing::error!("a waiting thread panicked");
            }
        }
    }
}

impl Drop for ThreadedWatcher {
    fn drop(&mut self) {
        self.close();
    }
}
