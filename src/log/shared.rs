//! `SharedLog`: the merged log under its lock. Wakers, chunks and files that the log releases while
//! it is locked are dropped after the lock.

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

/// What to drop after the log is unlocked: dropping each part does its work.
#[derive(Default)]
pub(super) struct Afterwards {
    pub(super) wakers: Wakers,
    /// There may be many chunks, and dropping the last reference to a file removes the file.
    pub(super) spans: Vec<Span>,
    pub(super) places: Vec<SpillRef>,
    pub(super) turns: Vec<TurnEntries>,
    /// A cursor may hold a foreign waker.
    pub(super) cursors: Vec<Cursor>,
}

/// The log, shared by the read loop, the subscribers' cursors and the readers.
pub(crate) struct SharedLog {
    log: Mutex<MergedLog>,
    /// How many threads wait for the lock.
    wanted: AtomicUsize,
    /// The read loop waits until a reader moves on.
    waits_for_room: AtomicBool,
    wake: Arc<LoopWake>,
}

impl SharedLog {
    /// `wake` wakes the read loop, which appends.
    pub(crate) fn new(bound: u64, overflow: Overflow, wake: Arc<LoopWake>) -> Self {
        let log = Mutex::new(MergedLog::new(bound, overflow));
        let (wanted, waits_for_room) = (AtomicUsize::new(0), AtomicBool::new(false));
        SharedLog { log, wanted, waits_for_room, wake }
    }

    /// Called after a reader has moved on: wakes the read loop if it waits for room.
    pub(crate) fn room_changed(&self) {
        if self.waits_for_room.load(SeqCst) {
            self.wake.notify();
        }
    }

    /// For the read loop: sets whether a reader that moves on wakes it. Returns `wait`.
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

    /// Reads on: see [`MergedLog::read`]. Loads what is in a file itself if there is no spill
    /// thread any more.
    pub(crate) fn read(&self, id: CursorId, limit: Limit) -> Option<Batch> {
        self.try_read(id, |log| log.read(id, limit))
    }

    /// Reads, or leaves `waker`: see [`MergedLog::read_or_wait`].
    pub(crate) fn read_or_wait(&self, id: CursorId, waker: &Waker) -> Option<Option<Batch>> {
        // A waker is foreign code: clone it before the lock, and drop a replaced one after it.
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

    /// For a thread that locks often: the lock is not fair, so let waiting threads go first.
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
    // The field order matters: the lock is released first.
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
