//! `Inbox`: carries new children from the spawn threads to the watcher. It outlives the watcher,
//! and closes once, at the shutdown.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{asyncio::Registering, process::Process};

/// A new child on its way to its waiter.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) process: Arc<Process>,
    /// Held until a hosted child watcher has the child.
    pub(crate) registering: Option<Registering>,
}

/// The spawn threads put children here for the watcher: a panic can lose a message, but not an
/// entry of the inbox.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Adoption>,
    closed: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts all of the children in, or returns all of them if a shutdown has begun:
    ///
    /// 1. The shutdown closes the inbox, and then signals every child in the inbox or the table.
    /// 2. A child put in before the close is signalled; one that comes after it is refused here.
    pub(crate) fn put(&self, adoptions: Vec<Adoption>) -> Result<(), Vec<Adoption>> {
        let mut state = self.lock();
        if state.closed {
            return Err(adoptions);
        }
        state.waiting.extend(adoptions);
        Ok(())
    }

    pub(super) fn take(&self) -> Option<Adoption> {
        self.lock().waiting.pop_front()
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Whether a shutdown has begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn processes(&self) -> Vec<Arc<Process>> {
        self.lock().waiting.iter().map(|adoption| Arc::clone(&adoption.process)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_inbox_takes_nothing() {
        let inbox = Inbox::default();
        assert!(inbox.put(Vec::new()).is_ok());
        assert!(!inbox.is_closed());
        inbox.close();
        inbox.close();
        assert!(inbox.is_closed());
        assert!(inbox.put(Vec::new()).is_err());
        assert!(inbox.take().is_none());
    }
}
