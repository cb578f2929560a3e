//! `SharedLog`: the merged log under its lock. What the log lets go of while it is locked (wakers,
//! chunks, files) goes after the lock.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Waker,
    thread,
};

use super::{Batch, CursorId, Limit, MergedLog, TurnEntries, cursors::Cursor, spans::Span};
use crate::{Overflow, log::spill::SpillRef, pipes::LoopWake, restart::Wakers};

/// What is to be done when the log is no longer locked: each part does it at its drop.
#[derive(Default)]
pub(super) struct Afterwards {
    pub(super) wakers: Wakers,
    /// Chunks may be many, and the last place in a file removes that.
    pub(super) spans: Vec<Span>,
    pub(super) places: Vec<SpillRef>,
    pub(super) turns: Vec<TurnEntries>,
    /// With a foreign waker.
    pub(super) cursors: Vec<Cursor>,
}

/// The log, shared by the read loop, the subscribers' cursors and the readers.
pub(crate) struct SharedLog {
    log: Mutex<MergedLog>,
    /// How many threads wait for the lock.
    wanted: AtomicUsize,
    /// The read loop waits for a reader to move on.
    waits_for_room: AtomicBool,
    wake: Arc<LoopWake>,
}

impl SharedLog {
    /// `wake` is the read loop's, which appends.
    pub(crate) fn new(bound: u64, overflow: Overflow, wake: Arc<LoopWake>) -> Self {
        let log = Mutex::new(MergedLog::new(bound, overflow));
        let (wanted, waits_for_room) = (AtomicUsize::new(0), AtomicBool::new(false));
        SharedLog { log, wanted, waits_for_room, wake }
    }

    /// After a reader moved on: wakes the loop if it waits for room.
    pub(crate) fn room_changed(&self) {
        if self.waits_for_room.load(SeqCst) {
            self.wake.notify();
        }
    }

    /// For the loop: whether it is to be woken when a reader moves on. Returns it.
    pub(crate) fn wait_for_room(&self, wait: bool) -> bool {
        self.waits_for_room.store(wait, SeqCst);
        wait
    }

    /// What wakes the read loop.
    pub(crate) fn wake(&self) -> &Arc<LoopWake> {
        &self.wake
    }

    pub(crate) fn lock(&self) -> LockedLog<'_> {
        let log = match self.log.try_lock() {
            Ok(log) => log,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.wanted.fetch_add(1, SeqCst);
                let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                self.wanted.fetch_sub(1, SeqCst);
                log
            }
        };
        LockedLog { log, after: Afterwards::default() }
    }

    /// Reads on: see [`MergedLog::read`]. What is in a file is loaded here where there is no spill
    /// thread any more.
    pub(crate) fn read(&self, id: CursorId, limit: Limit) -> Option<Batch> {
        self.try_read(id, |log| log.read(id, limit))
    }

    /// The same, or `waker` is left: see [`MergedLog::read_or_wait`].
    pub(crate) fn read_or_wait(&self, id: CursorId, waker: &Waker) -> Option<Option<Batch>> {
        // A waker is foreign code: it is cloned before the lock, and a replaced one dropped after it.
        let mut waker = Some(waker.clone());
        self.try_read(id, |log| log.read_or_wait(id, &mut waker))
    }

    fn try_read<R>(
        &self,
        id: CursorId,
        mut read: impl FnMut(&mut MergedLog) -> Option<R>,
    ) -> Option<R> {
        loop {
            let (first, place) = {
                let mut log = self.lock();
                if let Some(read) = read(&mut log) {
                    return Some(read);
                }
                log.load_for(id)?
            };
            let turns = place.load_or_tell();
            self.lock().spill_loaded(id, first, turns);
        }
    }

    /// For who locks it again and again: the lock is not fair, so others come first here.
    pub(crate) fn give_way(&self) {
        while self.wanted.load(SeqCst) > 0 {
            thread::yield_now();
        }
    }
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedLog").finish_non_exhaustive()
    }
}

/// The locked log.
pub(crate) struct LockedLog<'a> {
    // The order matters: the lock goes first.
    log: MutexGuard<'a, MergedLog>,
    after: Afterwards,
}

impl Deref for LockedLog<'_> {
    type Target = MergedLog;

    fn deref(&self) -> &MergedLog {
        &self.log
    }
}

impl DerefMut for LockedLog<'_> {
    fn deref_mut(&mut self) -> &mut MergedLog {
        &mut self.log
    }
}

impl Drop for LockedLog<'_> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.after, &mut self.log.after);
    }
}
