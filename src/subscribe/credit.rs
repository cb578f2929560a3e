//! The credit of output subscribers: sending a batch takes a credit, dropping it returns one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use actix::{Arbiter, ArbiterHandle};

use super::pace::Pace;
use crate::pipes::LoopWake;

/// Batches that a subscriber may hold at once: one in work, and more on their way.
const CREDITS: u32 = 4;

/// A batch's size is adapted until its handler takes between these times.
const QUICK: Duration = Duration::from_millis(1);
const SLOW: Duration = Duration::from_millis(4);

/// Bytes of a batch: the least, the first and the most.
const LEAST: u64 = 16 * 1024;
const FIRST: u64 = 64 * 1024;
const MOST: u64 = 1024 * 1024;

/// Credit is withheld for at most this long: a thread that blocks itself never runs its timers.
const WITHHELD: Duration = Duration::from_millis(50);

/// The credit of one subscriber.
pub(crate) struct Credits {
    available: AtomicU32,
    /// Credits that come back when the arbiter has run its other tasks and timers.
    withheld: AtomicU32,
    /// How many times withheld credits have come back.
    releases: AtomicU64,
    /// Batches that were sent and not yet looked at.
    unseen: AtomicU32,
    /// How many batches have been looked at.
    seen: AtomicU64,
    /// The handler took long for the last batch.
    slow: AtomicBool,
    /// The most bytes that the next batch may hold.
    limit: AtomicU64,
    /// The loop had something to deliver and found no credit.
    hungry: AtomicBool,
    wake: Arc<LoopWake>,
    /// The policy's own arbiter, which is never blocked.
    host: Option<ArbiterHandle>,
}

impl fmt::Debug for Credits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credits")
            .field("available", &self.available)
            .field("withheld", &self.withheld)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Credits {
    pub(crate) fn new(wake: Arc<LoopWake>, host: Option<ArbiterHandle>) -> Arc<Self> {
        Arc::new(Credits {
            available: AtomicU32::new(CREDITS),
            withheld: AtomicU32::new(0),
            releases: AtomicU64::new(0),
            unseen: AtomicU32::new(0),
            seen: AtomicU64::new(0),
            slow: AtomicBool::new(false),
            limit: AtomicU64::new(FIRST),
            hungry: AtomicBool::new(false),
            wake,
            host,
        })
    }

    /// For the loop: takes one credit. If there is none, the next returned credit wakes the loop.
    pub(crate) fn take(&self) -> bool {
        if self.try_take() {
            return true;
        }
        self.hungry.store(true, SeqCst);
        // A credit may have come back before its return could see `hungry`.
        self.try_take()
    }

    fn try_take(&self) -> bool {
        // A slow handler has at most one batch in its mailbox, and none while credit is withheld:
        // an arbiter handles all waiting messages before anything else.
        if self.slow.load(SeqCst)
            && (self.unseen.load(SeqCst) > 0 || self.withheld.load(SeqCst) > 0)
        {
            return false;
        }
        let less = |available: u32| available.checked_sub(1);
        self.available.fetch_update(SeqCst, SeqCst, less).is_ok()
    }

    /// For the loop: the most bytes that the next batch may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(SeqCst)
    }

    pub(super) fn handed_over(&self) {
        self.unseen.fetch_add(1, SeqCst);
    }

    /// A batch is looked at. Returns its number.
    pub(super) fn looked_at(&self) -> u64 {
        self.unseen.fetch_sub(1, SeqCst);
        if self.slow.load(SeqCst) {
            self.wake();
        }
        self.seen.fetch_add(1, SeqCst) + 1
    }

    /// The batch with this number was in work for this long. Ignored if other batches were looked
    /// at meanwhile: then the batch was kept, and the time means nothing.
    pub(super) fn took(&self, number: u64, time: Duration) {
        if self.seen.load(SeqCst) != number {
            return;
        }
        self.slow.store(time >= SLOW / 2, SeqCst);
        let limit = self.limit.load(SeqCst);
        let next = match time {
            time if time > SLOW => (limit / 2).max(LEAST),
            time if time < QUICK => (limit * 2).min(MOST),
            _ => limit,
        };
        self.limit.store(next, SeqCst);
    }

    /// For the loop: returns a credit without waking the loop.
    pub(super) fn give(&self) {
        self.available.fetch_add(1, SeqCst);
    }

    /// Returns a credit, on any thread: at once, or when the arbiter that handled the batch has run
    /// its other tasks and timers.
    pub(super) fn give_back(self: &Arc<Self>, pace: Option<&Pace>) {
        match pace.filter(|pace| !pace.is_kept()) {
            None => {
                self.give();
                self.wake();
            }
            Some(pace) => self.withhold(pace),
        }
    }

    fn withhold(self: &Arc<Self>, pace: &Pace) {
        if self.withheld.fetch_add(1, SeqCst) == 0 {
            pace.after_round(Withheld(Arc::clone(self)));
        }
        let releases = self.releases.load(SeqCst);
        if self.available.load(SeqCst) == 0
            && let Some(host) = &self.host
        {
            let credits = Arc::clone(self);
            host.spawn(async move {
                tokio::time::sleep(WITHHELD).await;
                if credits.releases.load(SeqCst) == releases {
                    credits.release();
                }
            });
        }
    }

    fn release(&self) {
        self.releases.fetch_add(1, SeqCst);
        let withheld = self.withheld.swap(0, SeqCst);
        self.available.fetch_add(withheld, SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.hungry.swap(false, SeqCst) {
            self.wake.notify();
        }
    }
}

/// Dropping this returns the withheld credits, even if the task that holds it is never polled.
struct Withheld(Arc<Credits>);

impl Drop for Withheld {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// For `Mailbox::new`, on the policy's thread.
pub(crate) fn host_arbiter() -> Option<ArbiterHandle> {
    Arbiter::try_current()
}
