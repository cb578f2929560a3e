//! `Spiller`: the thread that writes and reads the spill files, so that the read loop never does.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::Receiver;

use super::{SpillError, store::Store};
use crate::{
    log::SharedLog,
    log::{SpillWork, SpillWrite},
    restart::{contain, dispose, drop_contained, fault_point, message_of, trace},
};

/// After this many panics the thread only loads and frees, and writes nothing.
const PANICS: usize = 3;

/// The thread, until it is stopped.
#[derive(Debug)]
pub(crate) struct Spiller {
    thread: Option<JoinHandle<()>>,
}

impl Spiller {
    /// Starts the thread. If the directory is unusable, notifies subscribers and starts none.
    pub(crate) fn start(
        directory: &Path,
        bound: u64,
        log: &Arc<SharedLog>,
        tell: impl Fn(SpillError) + Send + 'static,
    ) -> io::Result<Self> {
        let store = match Store::create(directory, bound) {
            Ok(store) => store,
            Err(error) => {
                failed(log, &tell, error);
                return Ok(Spiller { thread: None });
            }
        };
        let (wake_thread, woken) = crossbeam_channel::bounded(1);
        let work = Work { log: Arc::clone(log), tell, store };
        let builder = thread::Builder::new().name("actix-process-spill".into());
        let thread = builder.spawn(move || work.run(&woken))?;
        log.lock().spill_with(wake_thread);
        Ok(Spiller { thread: Some(thread) })
    }

    /// Call it after the log has dropped the sender. Waits for the thread, which removes the files.
    pub(crate) fn join(self) {
        if let Some(thread) = self.thread
            && thread.join().is_err()
        {
            trace::error!("the spill thread panicked");
        }
    }
}

fn failed(log: &SharedLog, tell: &impl Fn(SpillError), error: SpillError) {
    trace::warn!(%error, "spilling has ended: reading pauses where a reader is a whole log behind");
    log.lock().spill_failed();
    tell(error);
}

struct Work<T> {
    log: Arc<SharedLog>,
    /// Reports that spilling has ended, and why.
    tell: T,
    store: Store,
}

impl<T: Fn(SpillError)> Work<T> {
    /// Runs until the log drops the sender that wakes the thread.
    fn run(mut self, woken: &Receiver<()>) {
        let mut panics = 0;
        while panics < PANICS && woken.recv().is_ok() {
            let all = catch_unwind(AssertUnwindSafe(|| while self.one() {}));
            if let Err(panic) = all {
                panics += 1;
                let message = message_of(&*panic);
                dispose(panic);
                self.log.lock().spill_again();
                let error = io::Error::other(message);
                failed(&self.log, &self.tell, self.store.error("go on after a panic", error));
            }
        }
        // A cursor may still wait for a file, so this thread goes on loading as far as it can.
        let rest = || self.rest(woken);
        if contain("the spill thread", rest).is_none() {
            self.log.lock().spill_no_more();
        }
    }

    /// Only loads and frees. If a load panics, that range becomes a gap.
    fn rest(&self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            loop {
                // Not in the `match`: the log must not stay locked during the work.
                let Some(work) = self.log.lock().spill_work() else { break };
                match work {
                    SpillWork::Free(places) => places.into_iter().for_each(drop_contained),
                    SpillWork::Load(cursor, first, place) => {
                        let load = || place.load_or_tell();
                        let turns = contain("the load of a spilled file", load).flatten();
                        self.log.lock().spill_loaded(cursor, first, turns);
                    }
                    // After the panics nothing is written.
                    SpillWork::Write(_) | SpillWork::Nothing => {}
                }
                self.log.wake().notify();
            }
        }
    }

    /// Does the next work. Returns false if there is none.
    fn one(&mut self) -> bool {
        fault_point!(SpillThread);
        let Some(work) = self.log.lock().spill_work() else { return false };
        match work {
            SpillWork::Free(places) => {
                drop(places);
                self.store.leave_unneeded();
            }
            SpillWork::Load(cursor, first, place) => {
                self.log.lock().spill_loaded(cursor, first, place.load_or_tell());
            }
            SpillWork::Write(write) => self.write(&write),
            SpillWork::Nothing => {}
        }
        // There is something to deliver, or more room.
        self.log.wake().notify();
        true
    }

    fn write(&mut self, write: &SpillWrite) {
        match self.store.write(&write.turns) {
            Ok(Some(place)) => self.log.lock().spilled(write, place),
            Ok(None) => self.log.lock().spill_is_full(write),
            Err(error) => failed(&self.log, &self.tell, error),
        }
    }
}
