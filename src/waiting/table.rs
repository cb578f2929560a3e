//! `WaiterTable`: the watcher's children, and the inbox by which they arrive. Both outlive it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use actix::Addr;
use nix::sys::signal::Signal;
use tokio::{sync::Notify, time::timeout_at};

use super::{ChildSlot, HostedWatcher, waiter::Waiter};
use crate::{ChildId, child_watcher::Registering, supervise::contain};

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
    fn lock(&self) -> MutexGuard<'_, VecDeque<Adoption>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, adoption: Adoption) {
        self.lock().push_back(adoption);
    }

    fn take(&self) -> Option<Adoption> {
        self.lock().pop_front()
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

    /// Signals every child, and every group that a child leads or led. Also those that the watcher
    /// has still to adopt.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        for Adoption { slot, .. } in &*self.inbox.lock() {
            slot.signal_all(signals);
        }
        for kept in self.kept.borrow().values() {
            kept.slot.signal_all(signals);
        }
    }

    /// Returns when every child's end is reported, and no group is left whose members hold pipes.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            let left = |kept: &Kept| kept.slot.is_unreported() || kept.slot.leads_group();
            if self.inbox.lock().is_empty() && !self.kept.borrow().values().any(left) {
                return;
            }
            changed.await;
        }
    }

    /// Reaps and reports the children whose end is still to be reported, when they have been
    /// killed: also those whose waiter was given up, or that no watcher has adopted.
    pub(crate) async fn reap_all(&self) {
        while self.adopt().is_some() {}
        let slots: Vec<_> =
            self.kept.borrow().values().map(|kept| Arc::clone(&kept.slot)).collect();
        let deadline = Instant::now() + LAST_WORD;
        for slot in slots.into_iter().filter(|slot| slot.is_unreported()) {
            if let Some(watcher) = &self.child_watcher {
                let told = reported(&slot);
                if watcher.is_active() && timeout_at(deadline.into(), told).await.is_ok() {
                    continue;
                }
                // Where it has no handler any more, it has the status, and is about to tell it.
                if watcher.remove(slot.pid()) {
                    slot.forsake_watcher();
                }
            }
            if let Err(error) = reported(&slot).await {
                tracing::error!(child = %slot.id(), %error, "a killed child cannot be waited for");
            }
        }
    }

    /// How many children's ends are still to be reported.
    pub(crate) fn unreported(&self) -> usize {
        self.kept.borrow().values().filter(|kept| kept.slot.is_unreported()).count()
    }
}

/// A step that panics is tried again so often: nobody restarts the host as a waiter is restarted.
const RETRIES: u32 = 3;

/// Waits until the child's end is reported, in the place of its waiter.
async fn reported(slot: &ChildSlot) -> io::Result<()> {
    let mut panics = 0;
    poll_fn(|cx| {
        let step = contain("the last step of a waiter", || slot.poll_reported(cx));
        step.unwrap_or_else(|| {
            panics += 1;
            if panics > RETRIES {
                return Poll::Ready(Err(io::Error::other("its last step panics")));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    })
    .await
}
