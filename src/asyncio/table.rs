//! `HandlerTable`: the handlers of the watchers that ask by PID.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use super::{ExitHandler, WatchedExit};
use crate::{
    asyncio::EventLoop,
    restart::trace,
    sys::wait::{self, Which},
    types::WatchError,
};

/// A handler, and the loop that its closure runs on, if not on the watcher's own.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) handler: ExitHandler,
    pub(super) on: Option<EventLoop>,
}

impl Registered {
    pub(super) fn call(self, exit: WatchedExit) {
        self.handler.call_on(self.on.as_ref(), exit);
    }
}

/// PidPoller, reaping and taking the handler out are one step under the lock, so that a handler that
/// was removed or replaced is never called, and its child never reaped.
#[derive(Debug, Default)]
pub(super) struct HandlerTable(Mutex<HashMap<i32, Registered>>);

impl HandlerTable {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<i32, Registered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, pid: i32, registered: Registered) {
        let before = self.lock().insert(pid, registered);
        drop(before);
    }

    pub(super) fn remove(&self, pid: i32) -> bool {
        let removed = self.lock().remove(&pid);
        removed.is_some()
    }

    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        drop(dropped);
    }

    /// Asks after one child, and tells its handler if it has ended.
    pub(super) fn ask(&self, pid: i32) {
        let told = {
            let mut handlers = self.lock();
            if !handlers.contains_key(&pid) {
                return;
            }
            match WatchedExit::of(pid, wait::reap(Which::Pid(pid))) {
                Ok(exit) => exit.and_then(|exit| Some(Ok((handlers.remove(&pid)?, exit)))),
                Err(error) => Some(Err(error)),
            }
        };
        match told {
            Some(Ok((registered, exit))) => {
                exit.warn_if_lost();
                registered.call(exit);
            }
            // It is asked after again at the next audit.
            Some(Err(error)) => trace::error!(pid, %error, "a child cannot be asked after now"),
            None => {}
        }
    }

    /// Asks after every child.
    pub(super) fn ask_all(&self) {
        let pids: Vec<i32> = self.lock().keys().copied().collect();
        pids.into_iter().for_each(|pid| self.ask(pid));
    }
}

/// The handler, where its child is there to be watched. One that was reaped already is told to be
/// lost, and there is nothing more to do.
pub(super) fn check_pid(
    pid: i32,
    handler: ExitHandler,
    on: Option<&EventLoop>,
) -> Result<Option<ExitHandler>, WatchError> {
    match standing(pid)? {
        PidState::Child => Ok(Some(handler)),
        PidState::Gone => {
            handler.call_on(on, WatchedExit::lost(pid));
            Ok(None)
        }
    }
}

/// What can be said of a PID that is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PidState {
    /// A child of this process, alive or not reaped yet.
    Child,
    /// Nobody has the PID: it was reaped.
    Gone,
}

pub(super) fn standing(pid: i32) -> Result<PidState, WatchError> {
    // 0 and -1 mean others to the system calls.
    if pid <= 0 {
        return Err(WatchError::NotAChild(pid));
    }
    match wait::peek(Which::Pid(pid)) {
        Ok(_) => Ok(PidState::Child),
        Err(error) if wait::is_gone(&error) => match kill(Pid::from_raw(pid), None) {
            Err(Errno::ESRCH) => Ok(PidState::Gone),
            _ => Err(WatchError::NotAChild(pid)),
        },
        Err(error) => Err(WatchError::of_child(pid, "ask after it")(error)),
    }
}
