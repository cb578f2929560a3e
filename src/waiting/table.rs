//! `WaiterTable`: the watcher's children, and the inbox by which they arrive. Both outlive it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix::Addr;
use nix::sys::signal::Signal;
use tokio::{sync::Notify, time::timeout_at};

use super::{ChildSlot, HostedWatcher, waiter::Waiter};
use crate::{ChildId, child_watcher::Registering};

/// A hosted child watcher may take this long to tell the exits of the children that were killed.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A freshly spawned child on its way to its waiter.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) slot: Arc<ChildSlot>,
    /// Held until a hosted child watcher has the child.
    pub(crate) registering: Option<Registering>,
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
    pub(super) slot: Arc<ChildSlot>,
    /// None until it is started, and where it has done its work.
    pub(super) waiter: Option<Addr<Waiter>>,
}

/// The children, by their identity.
#[derive(Debug)]
pub(crate) struct WaiterTable {
    pub(super) kept: RefCell<HashMap<ChildId, Kept>>,
    pub(super) changed: Notify,
    inbox: Arc<Inbox>,
    child_watcher: Option<HostedWatcher>,
}

impl WaiterTable {
    pub(crate) fn new(inbox: Arc<Inbox>, child_watcher: Option<HostedWatcher>) -> Self {
        WaiterTable { kept: RefCell::default(), changed: Notify::new(), inbox, child_watcher }
    }

    /// Takes the next child out of the inbox and keeps it.
    pub(super) fn adopt(&self) -> Option<Arc<ChildSlot>> {
        let Adoption { slot, registering } = self.inbox.take()?;
        if let Some(watcher) = &self.child_watcher {
            slot.host(watcher);
        }
        drop(registering);
        let kept = Kept { slot: Arc::clone(&slot), waiter: None };
        self.kept.borrow_mut().insert(slot.id(), kept);
        Some(slot)
    }

    /// Signals every child, and every group that a child leads or led. Also those that no watcher
    /// has adopted, should it be gone.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        while self.adopt().is_some() {}
        for kept in self.kept.borrow().values() {
            kept.slot.signal_all(signals);
        }
    }

    /// Returns when every child's end is reported, and no group is left whose members hold pipes.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            let left = |kept: &Kept| kept.slot.is_unreported() || kept.slot.leads_group();
            if !self.kept.borrow().values().any(left) {
                return;
            }
            changed.await;
        }
    }

    /// Reaps and reports the children whose end is still to be reported, when they have been
    /// killed: also those whose waiter was given up.
    pub(crate) async fn reap_all(&self) {
        let slots: Vec<_> =
            self.kept.borrow().values().map(|kept| Arc::clone(&kept.slot)).collect();
        let deadline = Instant::now() + LAST_WORD;
        for slot in slots.into_iter().filter(|slot| slot.is_unreported()) {
            if let Some(watcher) = &self.child_watcher {
                let told = poll_fn(|cx| slot.poll_reported(cx));
                if watcher.is_active() && timeout_at(deadline.into(), told).await.is_ok() {
                    continue;
                }
                // Where it has no handler any more, it has the status, and is about to tell it.
                if watcher.remove(slot.pid()) {
                    slot.forsake_watcher();
                }
            }
            if let Err(error) = poll_fn(|cx| slot.poll_reported(cx)).await {
                tracing::error!(child = %slot.id(), %error, "a killed child cannot be waited for");
            }
        }
    }

    /// How many children's ends are still to be reported.
    pub(crate) fn unreported(&self) -> usize {
        self.kept.borrow().values().filter(|kept| kept.slot.is_unreported()).count()
    }
}
