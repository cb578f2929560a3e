//! `LoopWake`: the read loop's sleep, and how other threads end it.

use std::{
    fmt,
    sync::{PoisonError, atomic::Ordering::SeqCst},
};

use super::{
    LoopWaker,
    sync::{AtomicU8, Mutex},
};

const RUNNING: u8 = 0;
const SLEEPING: u8 = 1;
const NOTIFIED: u8 = 2;

/// Wakes the read loop. No wake-up is lost:
///
/// 1. Another thread leaves something for the loop (a command, room in the log, credit), and then
///    sets NOTIFIED.
/// 2. The loop sets RUNNING before it looks at what was left, and SLEEPING only in the place of
///    RUNNING.
/// 3. What came after the look has set NOTIFIED, so the loop looks once more instead of sleeping.
///    What comes later finds SLEEPING, and wakes the driver.
pub(crate) struct LoopWake {
    state: AtomicU8,
    waker: Mutex<Option<LoopWaker>>,
}

impl LoopWake {
    pub(crate) fn new() -> Self {
        LoopWake { state: AtomicU8::new(RUNNING), waker: Mutex::new(None) }
    }

    /// Makes the loop look at what was left for it.
    pub(crate) fn notify(&self) {
        if self.state.swap(NOTIFIED, SeqCst) == SLEEPING {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// For the loop: sets how its driver is woken; `None` when the loop ends.
    pub(crate) fn attach(&self, waker: Option<LoopWaker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }

    /// For the loop: it runs, and is about to look at what was left for it.
    pub(crate) fn run(&self) {
        // Not a store: it has to see what was left before the notification that it clears.
        self.state.swap(RUNNING, SeqCst);
    }

    /// For the loop: whether it may sleep now. From here on a notification wakes its driver.
    pub(crate) fn sleep(&self) -> bool {
        self.state.compare_exchange(RUNNING, SLEEPING, SeqCst, SeqCst).is_ok()
    }
}

impl fmt::Debug for LoopWake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LoopWake").finish_non_exhaustive()
    }
}
