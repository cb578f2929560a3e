//! `Spiller`: the thread that writes to the files and reads them, so that the read loop never does.

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
    restart::trace,
    restart::{fault_point, message_of},
};

/// After so many panics the thread does nothing more.
const PANICS: usize = 3;

/// The thread, until it is stopped.
#[derive(Debug)]
pub(crate) struct Spiller {
    thread: Option<JoinHandle<()>>,
}

impl Spiller {
    /// Starts it. Where the directory is of no use, there is none, and everyone is told.
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
        let (bell, rung) = crossbeam_channel::bounded(1);
        let work = Work { log: Arc::clone(log), tell, store };
        let builder = thread::Builder::new().name("actix-process-spill".into());
        let thread = builder.spawn(move || work.run(&rung))?;
        log.lock().spill_with(bell);
        Ok(Spiller { thread: Some(thread) })
    }

    /// After the log has let go of the bell: waits for the thread, which removes the files.
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
    /// Tells that spilling has ended, and why.
    tell: T,
    store: Store,
}

impl<T: Fn(SpillError)> Work<T> {
    /// Until nobody has the bell any more.
    fn run(mut self, rung: &Receiver<()>) {
        let mut panics = 0;
        while rung.recv().is_ok() {
            let all = catch_unwind(AssertUnwindSafe(|| while self.one() {}));
            if let Err(panic) = all {
                panics += 1;
                if panics < PANICS {
                    self.log.lock().spill_again();
                } else {
                    // Whoever waits for a file reads it itself from now on.
                    self.log.lock().spill_no_more();
                }
                let source = io::Error::other(message_of(&*panic));
                failed(&self.log, &self.tell, self.store.error("go on after a panic", source));
            }
        }
    }

    /// Does one thing; false where there is none.
    fn one(&mut self) -> bool {
        fault_point!(SpillThread);
        let Some(work) = self.log.lock().spill_work() else { return false };
        match work {
            SpillWork::Forget(places) => {
                drop(places);
                self.store.leave_unneeded();
            }
            SpillWork::Load(cursor, first, place) => {
                let turns = place.load();
                if let Err(error) = &turns {
                    trace::error!(%error, "what went to a file cannot be read: it is a gap");
                }
                self.log.lock().spill_loaded(cursor, first, turns.ok());
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
