//! Points at which a test can make a part panic. Without the feature they compile to nothing.

#[cfg(feature = "fault-injection")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// A point at which a panic can be injected.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// In a waiter, when its child has ended and before it is reaped.
        WaiterBeforeReap,
        /// In a waiter, between the reaping and the report.
        WaiterAfterReap,
        /// In a waiter: the waiter does not take its steps. Not a panic.
        WaiterStalled,
        /// In the watcher, before it takes an adopted child.
        WatcherBeforeAdopt,
        /// In the watcher, after it took the child and before the child's waiter runs.
        WatcherAfterAdopt,
        /// In the read loop, before a turn.
        LoopBeforeTurn,
        /// In the read loop, with bytes read and not yet in the log.
        LoopAfterRead,
        /// In the read loop, before a command is applied.
        LoopBeforeCommand,
        /// In the read loop, between two completions of a turn.
        LoopBeforeTake,
        /// In the read loop, before an ended child's pipes are drained.
        LoopBeforeDrain,
        /// In the read loop, with the bytes of an ended child's pipes in hand.
        LoopAfterDrain,
        /// In the read loop, before an exit is recorded.
        LoopBeforeExit,
        /// In the read loop, before the log takes a turn's entries.
        LoopBeforeAppend,
        /// In the read loop, with the log written and the subscribers not yet notified.
        LoopBeforePublish,
        /// In the read loop, between two notifications.
        LoopBeforeNotice,
        /// In a spawn thread, with a child that only this thread knows.
        SpawnBeforeAdoption,
        /// In the late part of a spawn: the pidfd cannot be watched. Not a panic.
        SpawnUnwatched,
        /// In a spawn: `clone3` is refused, and `clone` is used. Not a panic.
        SpawnByClone,
        /// In the spill thread: a write fails as on a full disk. Not a panic.
        SpillWrite,
        /// In the spill thread, before it does anything.
        SpillThread,
        /// In the ring: the kernel is not entered, as if a filter refused it. Not a panic.
        RingFails,
    }

    const FAULTS: usize = Fault::RingFails as usize + 1;
    static ARMED: [AtomicUsize; FAULTS] = [const { AtomicUsize::new(0) }; FAULTS];

    /// Makes the next `times` passes of this point fail, in the whole process.
    pub fn inject(fault: Fault, times: usize) {
        ARMED[fault as usize].store(times, SeqCst);
    }

    /// Whether this pass is to fail.
    pub(crate) fn due(fault: Fault) -> bool {
        ARMED[fault as usize].fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[cfg(feature = "fault-injection")]
pub(crate) use armed::due;
#[cfg(feature = "fault-injection")]
pub use armed::{Fault, inject};

/// Panics here if a test asked for it.
macro_rules! fault_point {
    ($fault:ident) => {
        #[cfg(feature = "fault-injection")]
        if $crate::restart::fault_due($crate::restart::Fault::$fault) {
            panic!(concat!("injected: ", stringify!($fault)));
        }
    };
}
pub(crate) use fault_point;
