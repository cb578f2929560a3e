//! `WaiterTable`: the watcher's children, and the inbox by which they arrive. Both outlive it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use actix::Addr;
use tokio::{io::unix::AsyncFd, sync::Notify};

use super::{ChildSlot, waiter::Waiter};
use crate::{ChildId, child::ChildCell};

/// A freshly spawned child on its way to its waiter.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) cell: Arc<ChildCell>,
    /// Registered with the reactor of the watcher's thread.
    pub(crate) pidfd: AsyncFd<OwnedFd>,
    pub(crate) status_pipe: OwnedFd,
    pub(crate) leads_group: bool,
    pub(crate) started: Instant,
}

/// Where the spawner leaves children for the watcher: a message can be lost in a panic, this
/// cannot.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<VecDeque<Adoption>>);

impl Inbox {
    pub(crate) fn put(&self, adoption: Adoption) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(adoption);
    }

    pub(super) fn take(&self) -> Option<Adoption> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) slot: Rc<ChildSlot>,
    /// None until it is started, and where it has done its work.
    pub(super) waiter: Option<Addr<Waiter>>,
}

/// The children, by their identity.
#[derive(Debug, Default)]
pub(crate) struct WaiterTable {
    pub(super) kept: RefCell<HashMap<ChildId, Kept>>,
    pub(super) changed: Notify,
}

impl WaiterTable {
    /// Returns when no child is left whose end is still to be reported; with `groups`, when no
    /// child's group is left either whose members hold its pipes.
    pub(crate) async fn emptied(&self, groups: bool) {
        loop {
            let changed = self.changed.notified();
            let left = {
                let kept = self.kept.borrow();
                kept.values().any(|kept| groups || kept.slot.is_unreported())
            };
            if !left {
                return;
            }
            changed.await;
        }
    }

    /// The children whose end is still to be reported.
    pub(crate) fn unreported(&self) -> Vec<Rc<ChildSlot>> {
        let kept = self.kept.borrow();
        let slots = kept.values().map(|kept| &kept.slot);
        slots.filter(|slot| slot.is_unreported()).cloned().collect()
    }
}
