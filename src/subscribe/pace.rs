//! `Pace`: when the thread that handles a batch last ran its timers. An arbiter runs a handler for
//! as long as its mailbox has messages, so credit that came back at once would starve everything
//! else on it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{Arbiter, ArbiterHandle};

/// Credit comes back at once for this long after the arbiter last ran its timers.
const BUSY: Duration = Duration::from_millis(5);

/// When a thread's arbiter last ran its timers, in nanoseconds of this process; 0 for never.
#[derive(Debug, Default)]
struct Round(AtomicU64);

thread_local! {
    static ROUND: Arc<Round> = Arc::default();
}

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// The arbiter that handles a batch.
#[derive(Debug)]
pub(super) struct Pace {
    arbiter: ArbiterHandle,
    round: Arc<Round>,
}

impl Pace {
    /// This thread's arbiter; `None` if no arbiter runs here.
    pub(super) fn here() -> Option<Self> {
        // A thread keeps the name of a System that is not running or has ended.
        tokio::runtime::Handle::try_current().ok()?;
        let arbiter = Arbiter::try_current()?;
        let round = ROUND.try_with(Arc::clone).ok()?;
        Some(Pace { arbiter, round })
    }

    /// Whether the arbiter ran its timers lately.
    pub(super) fn is_kept(&self) -> bool {
        let last = self.round.0.load(Relaxed);
        last > 0 && Duration::from_nanos(now().saturating_sub(last)) < BUSY
    }

    /// Drops `held` when the arbiter has run its timers, or has ended.
    pub(super) fn after_round<T: Send + 'static>(&self, held: T) {
        let round = Arc::clone(&self.round);
        self.arbiter.spawn(async move {
            let held = held;
            // tokio wakes this only after it has polled its timers. A task that wakes itself, or a
            // spawned one, can run some thousands of times before that.
            tokio::task::yield_now().await;
            round.0.store(now(), Relaxed);
            drop(held);
        });
    }
}
