//! `FastWatcher`: handles `SIGCHLD` on the attached loop, and reaps every child that has ended.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    ChildWatcher, ExitHandler, Registering, WatchedExit,
    sigchld::{Attachment, Collector},
    table::{PidState, standing},
};
use crate::{
    asyncio::EventLoop,
    restart::{contain, trace},
    sys::wait::{self, Which},
    types::WatchError,
};

/// Handles `SIGCHLD` on the attached loop, and reaps **every** child of this process that has
/// ended. Other code that waits for one of them finds its status lost. Handlers' closures run on
/// the attached loop.
///
/// Spawn under its [guard](ChildWatcher::registering): if a child ends before its handler is added,
/// its status is kept until the guard is dropped. A child without a handler by then is
/// *collateral*. It is reported with a warning, and to the closure of [`FastWatcher::reporting`].
///
/// asyncio's `FastChildWatcher`, but handlers outlive a detachment, and an exit is found also if
/// the signal was ignored or taken away.
#[derive(Debug)]
pub struct FastWatcher {
    reaping: Arc<Reaping>,
    attachment: Attachment,
}

struct Reaping {
    state: Mutex<State>,
    collateral_to: Box<dyn Fn(WatchedExit) + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    handlers: HashMap<i32, ExitHandler>,
    /// Children reaped without a handler while a guard is held, with the newest guard's number.
    parked: HashMap<i32, (u64, WatchedExit)>,
    /// The guards that are held, by number.
    registering: BTreeSet<u64>,
    guards: u64,
}

impl FastWatcher {
    /// A watcher that is not attached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::reporting(|_| {})
    }

    /// A watcher that reports each child that it reaped without a handler.
    pub fn reporting(collateral: impl Fn(WatchedExit) + Send + Sync + 'static) -> Self {
        let reaping = Reaping { state: Mutex::default(), collateral_to: Box::new(collateral) };
        FastWatcher { reaping: Arc::new(reaping), attachment: Attachment::default() }
    }
}

impl Default for FastWatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Reaping {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reaping").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Reaping {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, exits: impl IntoIterator<Item = WatchedExit>) {
        for exit in exits {
            trace::warn!(
                pid = exit.pid, status = %exit.status,
                "a child that nobody watches was reaped: its status is lost to whoever waits for it",
            );
            let whose = format_args!("the report of process {}, which nobody watched,", exit.pid);
            contain(whose, || (self.collateral_to)(exit));
        }
    }

    /// Called when a guard is dropped. An exit parked before the oldest remaining guard was taken
    /// cannot belong to a pending registration: report it.
    fn registered(&self, guard: u64) {
        let collateral: Vec<_> = {
            let mut state = self.lock();
            state.registering.remove(&guard);
            let oldest = state.registering.first().copied().unwrap_or(u64::MAX);
            state.parked.extract_if(|_, (newest, _)| *newest < oldest).collect()
        };
        self.report(collateral.into_iter().map(|(_, (_, exit))| exit));
    }
}

impl Collector for Reaping {
    fn collect(&self) {
        loop {
            // Reaping and finding the handler are one step: a registration sees both or none.
            let mut state = self.lock();
            let Ok(Some(ended)) = wait::reap(Which::Any) else { return };
            let exit = WatchedExit::from(ended);
            let handler = state.handlers.remove(&exit.pid);
            let parked = handler.is_none() && !state.registering.is_empty();
            let newest = state.guards;
            let stale = parked.then(|| state.parked.insert(exit.pid, (newest, exit))).flatten();
            drop(state);
            self.report(stale.map(|(_, exit)| exit));
            match handler {
                Some(handler) => handler.call(exit),
                None if parked => {}
                None => self.report([exit]),
            }
        }
    }

    /// Also finds the children that other code has reaped.
    fn collect_all(&self) {
        self.collect();
        let lost: Vec<_> = {
            let mut state = self.lock();
            let gone = |pid: &i32, _: &mut ExitHandler| {
                wait::peek(Which::Pid(*pid)).is_err_and(|error| wait::is_gone(&error))
            };
            state.handlers.extract_if(gone).collect()
        };
        for (pid, handler) in lost {
            handler.call(WatchedExit::lost(pid));
        }
    }
}

impl ChildWatcher for FastWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        let mut state = self.reaping.lock();
        // Under the lock: a close comes wholly before or wholly after this.
        let on = self.attachment.on();
        let parked = state.parked.remove(&pid).map(|(_, exit)| exit);
        // If the PID names a child now, the parked exit is of an earlier child.
        let is_there = wait::peek(Which::Pid(pid)).is_ok();
        match (parked, on) {
            (Some(exit), on) if !is_there => {
                drop(state);
                handler.call_on(on.as_ref().ok(), exit);
            }
            (stale, Ok(on)) => {
                let known = match standing(pid)? {
                    PidState::Gone => Err(handler),
                    PidState::Child => Ok(state.handlers.insert(pid, handler)),
                };
                drop(state);
                // A replaced handler's drop may run foreign code: after the lock.
                if let Err(handler) = known {
                    handler.call_on(Some(&on), WatchedExit::lost(pid));
                }
                self.reaping.report(stale);
            }
            (stale, Err(error)) => {
                drop(state);
                self.reaping.report(stale);
                return Err(error);
            }
        }
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        let removed = self.reaping.lock().handlers.remove(&pid);
        removed.is_some()
    }

    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError> {
        // A step of its own, so that the lock is free while the earlier loop is released.
        let pending = self.reaping.lock().handlers.len();
        self.attachment.change(event_loop, &self.reaping, pending)
    }

    fn is_active(&self) -> bool {
        self.attachment.on().is_ok()
    }

    fn close(&self) {
        self.attachment.close();
        let (dropped, parked) = {
            let mut state = self.reaping.lock();
            (std::mem::take(&mut state.handlers), std::mem::take(&mut state.parked))
        };
        drop(dropped);
        self.reaping.report(parked.into_values().map(|(_, exit)| exit));
    }

    fn registering(&self) -> Registering {
        let mut state = self.reaping.lock();
        state.guards += 1;
        let guard = state.guards;
        state.registering.insert(guard);
        drop(state);
        let reaping = Arc::clone(&self.reaping);
        Registering::until(move || reaping.registered(guard))
    }
}
