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

/// A handler, and the loop that its closure runs on, if not the watcher's own.
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

/// Asking, reaping and taking the handler out are one step under the lock. So a handler that was
/// removed or replaced is never called, and its child is never reaped.
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

    /// Asks after one child, and notifies its handler if the child has ended.
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
            // The next audit asks again.
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

/// Returns the handler if its child can be watched. If the child was reaped already, notifies the
/// handler of a lost status and returns `None`.
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

/// What is known of a PID that is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PidState {
    /// A child of this process, alive or not reaped yet.
    Child,
    /// No process has the PID: the child was reaped.
    Gone,
}

pub(super) fn standing(pid: i32) -> Result<PidState, WatchError> {
    // 0 and -1 have other meanings for the system calls.
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
