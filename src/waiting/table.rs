//! `WaiterTable`: the watcher's children, and the groups that outlive their leaders.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::poll_fn,
    io,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use actix::Addr;
use nix::sys::signal::Signal;
use tokio::{
    sync::Notify,
    time::{sleep, timeout_at},
};

use super::{
    inbox::{Adoption, Inbox},
    waiter::{RETRY, Waiter},
};
use crate::{
    ChildId,
    process::{HostedWatcher, Process},
    restart::{contain, trace},
    sys::groups,
};

/// A hosted child watcher may take this long to tell the exits of the children that were killed.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How soon a shutdown asks for the first time whether groups have ended, and how seldom at last.
const GROUPS_SOON: Duration = Duration::from_millis(1);
const GROUPS_LATE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) process: Arc<Process>,
    /// None until it is started, and once it has done its work.
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
    pub(super) fn adopt(&self) -> Option<Arc<Process>> {
        let Adoption { process, registering } = self.inbox.take()?;
        let kept = Kept { process: Arc::clone(&process), waiter: None };
        self.kept.borrow_mut().insert(process.id(), kept);
        // After the bookkeeping: both may run foreign code.
        if let Some(watcher) = &self.child_watcher {
            process.host(watcher);
        }
        drop(registering);
        Some(process)
    }

    pub(super) fn forget(&self, child: ChildId) {
        let forgotten = self.kept.borrow_mut().remove(&child);
        drop(forgotten);
        self.changed.notify_waiters();
    }

    /// A child's end is reported: it is forgotten, unless its group still has members, which are to
    /// end with the policy. Returns whether it is kept for that.
    pub(super) fn reported(&self, child: ChildId) -> bool {
        let has_group = match self.kept.borrow_mut().get_mut(&child) {
            None => return false,
            Some(kept) => {
                kept.waiter = None;
                kept.process.has_group()
            }
        };
        if !has_group {
            self.forget(child);
        }
        self.changed.notify_waiters();
        has_group
    }

    /// Forgets the groups that have ended. Returns how many are left whose leaders have gone.
    pub(super) fn forget_ended_groups(&self) -> usize {
        let mut left = 0;
        let ended: Vec<ChildId> = {
            let kept = self.kept.borrow();
            let leaders = kept.iter().filter(|(_, kept)| kept.waiter.is_none());
            let gone = leaders.filter(|(_, kept)| {
                let reported = !kept.process.is_unreported();
                let ended = reported && !kept.process.has_group();
                left += usize::from(reported && !ended);
                ended
            });
            gone.map(|(child, _)| *child).collect()
        };
        ended.into_iter().for_each(|child| self.forget(child));
        left
    }

    /// All children that are there, those that the watcher has still to adopt among them.
    fn processes(&self) -> Vec<Arc<Process>> {
        let mut processes = self.inbox.processes();
        processes.extend(self.kept.borrow().values().map(|kept| Arc::clone(&kept.process)));
        processes
    }

    /// From now on no child is taken in: one that is born late is its spawn thread's to end.
    pub(crate) fn close_inbox(&self) {
        self.inbox.close();
    }

    /// Signals every child, and every group that a child leads or led.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        for process in self.processes() {
            process.signal_all(signals);
        }
    }

    /// Returns when every child's end is reported, and no member of a group is alive.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.processes().iter().any(|process| process.is_unreported()) {
                break;
            }
            changed.await;
        }
        let mut pause = GROUPS_SOON;
        loop {
            let begin = Instant::now();
            if !self.has_groups() {
                return;
            }
            // A long list of processes is not to keep this thread busy.
            sleep(pause.max(begin.elapsed() * 8)).await;
            pause = (pause * 2).min(GROUPS_LATE);
        }
    }

    /// Whether a group has a member that is alive.
    fn has_groups(&self) -> bool {
        let leaders: Vec<_> =
            self.processes().into_iter().filter(|process| process.has_group()).collect();
        if leaders.is_empty() {
            return false;
        }
        match groups::alive() {
            Ok(alive) => leaders.iter().any(|process| alive.contains(&process.pid())),
            // Then zombies count.
            Err(_) => true,
        }
    }

    /// Reaps and reports the children whose end is still to be reported, when they have been
    /// killed: also those whose waiter was given up, or that no watcher has adopted.
    pub(crate) async fn reap_all(&self) {
        while self.adopt().is_some() {}
        let deadline = Instant::now() + LAST_WORD;
        for process in self.processes().into_iter().filter(|process| process.is_unreported()) {
            if let Some(watcher) = &self.child_watcher {
                let told = reported(&process);
                if watcher.is_active() && timeout_at(deadline.into(), told).await.is_ok() {
                    continue;
                }
                // If it has no handler any more, it has the status, and is about to tell it.
                if watcher.remove(process.pid()) {
                    process.stop_watching();
                }
            }
            if let Err(error) = reported(&process).await {
                trace::error!(child = %process.id(), %error, "a killed child cannot be waited for");
            }
        }
    }

    /// How many children's ends are still to be reported.
    pub(crate) fn unreported(&self) -> usize {
        self.kept.borrow().values().filter(|kept| kept.process.is_unreported()).count()
    }
}

/// How often a step that panics is tried again: the policy's thread has no supervisor.
const RETRIES: u32 = 3;

/// Waits until the child's end is reported, in the place of its waiter.
async fn reported(process: &Process) -> io::Result<()> {
    let mut panics = 0;
    loop {
        let step = poll_fn(|cx| {
            let step = contain("the last step of a waiter", || process.poll_reported(cx));
            step.map_or_else(
                || {
                    panics += 1;
                    Poll::Ready(None)
                },
                |polled| polled.map(Some),
            )
        });
        match step.await {
            Some(Ok(())) => return Ok(()),
            // The shutdown does not wait for ever.
            Some(Err(_)) => sleep(RETRY).await,
            None if panics > RETRIES => return Err(io::Error::other("its last step panics")),
            None => {}
        }
    }
}
