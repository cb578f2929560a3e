//! A child watcher of your own: it asks after each child every five milliseconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use actix_process::asyncio::{ChildWatcher, EventLoop, ExitHandler, WatchError, WatchedExit};

type Handlers = Mutex<HashMap<i32, ExitHandler>>;

/// The handlers, until it is closed.
#[derive(Debug)]
pub(crate) struct Poller(Mutex<Option<Arc<Handlers>>>);

impl Poller {
    pub(crate) fn start() -> Self {
        let handlers = Arc::new(Handlers::default());
        let watched = Arc::downgrade(&handlers);
        thread::spawn(move || poll(&watched));
        Poller(Mutex::new(Some(handlers)))
    }

    fn handlers(&self) -> Option<Arc<Handlers>> {
        lock(&self.0).clone()
    }
}

/// Ends when the watcher is closed or dropped.
fn poll(watched: &Weak<Handlers>) {
    while let Some(handlers) = watched.upgrade() {
        // Reaping and taking the handler out are one step: a removed one is never called.
        let ended: Vec<_> = lock(&handlers).extract_if(|&pid, _| has_ended(pid)).collect();
        for (pid, handler) in ended {
            let reaped = WatchedExit::reap(pid).ok().flatten();
            handler.call(reaped.unwrap_or_else(|| WatchedExit::lost(pid)));
        }
        drop(handlers);
        thread::sleep(Duration::from_millis(5));
    }
}

fn has_ended(pid: i32) -> bool {
    !matches!(WatchedExit::peek(pid), Ok(None))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ChildWatcher for Poller {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        let handlers = self.handlers().ok_or(WatchError::Inactive)?;
        lock(&handlers).insert(pid, handler);
        Ok(())
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.handlers().is_some_and(|handlers| lock(&handlers).remove(&pid).is_some())
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
        if self.is_active() { Ok(()) } else { Err(WatchError::Inactive) }
    }

    fn is_active(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn close(&self) {
        lock(&self.0).take();
    }
}
