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

/// How long a hosted child watcher may take to report the exits of killed children.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The first and the longest pause between a shutdown's checks for ended groups.
const GROUPS_SOON: Duration = Duration::from_millis(1);
const GROUPS_LATE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) process: Arc<Process>,
    /// `None` before it is started, and after it has reported.
    pub(super) waiter: Option<Addr<Waiter>>,
}

/// The children, by their ids.
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
        // After the bookkeeping, because both may run foreign code.
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

    /// A child's exit is reported: forgets the child, unless its group still has members, which
    /// must end with the policy. Returns whether it is kept for that.
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

    /// Forgets the groups that have ended. Returns how many groups without a leader are left.
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

    /// All children, with those in the inbox.
    fn processes(&self) -> Vec<Arc<Process>> {
        let mut processes = self.inbox.processes();
        processes.extend(self.kept.borrow().values().map(|kept| Arc::clone(&kept.process)));
        processes
    }

    /// From now on no child is accepted: the spawn thread of a late child kills it.
    pub(crate) fn close_inbox(&self) {
        self.inbox.close();
    }

    /// Signals every child, and every group that a child leads or led.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        for process in self.processes() {
            process.signal_all(signals);
        }
    }

    /// Waits until every child's exit is reported, and no group has a live member.
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
            // Pause in proportion, so that many processes do not keep this thread busy.
            sleep(pause.max(begin.elapsed() * 8)).await;
            pause = (pause * 2).min(GROUPS_LATE);
        }
    }

    /// Whether a group has a live member.
    fn has_groups(&self) -> bool {
        let leaders: Vec<_> =
            self.processes().into_iter().filter(|process| process.has_group()).collect();
        if leaders.is_empty() {
            return false;
        }
        match groups::alive() {
            Ok(alive) => leaders.iter().any(|process| alive.contains(&process.pid())),
            // Unknown, so zombies count as alive.
            Err(_) => true,
        }
    }

    /// Call it after the kill: reaps and reports those whose exit is not reported yet, also those
    /// whose waiter has given up or that no watcher has adopted.
    pub(crate) async fn reap_all(&self) {
        while self.adopt().is_some() {}
        let deadline = Instant::now() + LAST_WORD;
        for process in self.processes().into_iter().filter(|process| process.is_unreported()) {
            if let Some(watcher) = &self.child_watcher {
                let told = reported(&process);
                if watcher.is_active() && timeout_at(deadline.into(), told).await.is_ok() {
                    continue;
                }
                // If it has no handler any more, it has the status and is about to report it.
                if watcher.remove(process.pid()) {
                    process.stop_watching();
                }
            }
            if let Err(error) = reported(&process).await {
                trace::error!(child = %process.id(), %error, "a killed child cannot be waited for");
            }
        }
    }

    /// The number of children whose exit is not reported yet.
    pub(crate) fn unreported(&self) -> usize {
        self.kept.borrow().values().filter(|kept| kept.process.is_unreported()).count()
    }
}

/// Retries of a step that panics: the policy's thread has no supervisor.
const RETRIES: u32 = 3;

/// Waits until the child's exit is reported, as its waiter would.
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
            // An error is retried: the caller's timeout bounds the wait.
            Some(Err(_)) => sleep(RETRY).await,
            None if panics > RETRIES => return Err(io::Error::other("its last step panics")),
            None => {}
        }
    }
}
