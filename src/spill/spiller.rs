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
    log::{SpillWork, SpillWrite},
    read_loop::{LoopCommand, LoopLink},
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
    pub(crate) fn start(directory: &Path, bound: u64, link: &Arc<LoopLink>) -> io::Result<Self> {
        let store = match Store::create(directory, bound) {
            Ok(store) => store,
            Err(error) => {
                failed(link, error);
                return Ok(Spiller { thread: None });
            }
        };
        let (bell, rung) = crossbeam_channel::bounded(1);
        let work = Work { link: Arc::clone(link), store };
        let builder = thread::Builder::new().name("actix-process-spill".into());
        let thread = builder.spawn(move || work.run(&rung))?;
        link.log().spill_with(bell);
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

fn failed(link: &LoopLink, error: SpillError) {
    trace::warn!(%error, "spilling has ended: reading pauses where a reader is a whole log behind");
    link.log().spill_failed();
    link.push(LoopCommand::SpillFailed(Arc::new(error)));
}

struct Work {
    link: Arc<LoopLink>,
    store: Store,
}

impl Work {
    /// Until nobody has the bell any more.
    fn run(mut self, rung: &Receiver<()>) {
        let mut panics = 0;
        while rung.recv().is_ok() {
            let all = catch_unwind(AssertUnwindSafe(|| while self.one() {}));
            if let Err(panic) = all {
                panics += 1;
                if panics < PANICS {
                    self.link.log().spill_again();
                } else {
                    // Whoever waits for a file reads it itself from now on.
                    self.link.log().spill_no_more();
                }
                let source = io::Error::other(message_of(&*panic));
                failed(&self.link, self.store.error("go on after a panic", source));
            }
        }
    }

    /// Does one thing; false where there is none.
    fn one(&mut self) -> bool {
        fault_point!(SpillThread);
        let Some(work) = self.link.log().spill_work() else { return false };
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
                self.link.log().spill_loaded(cursor, first, turns.ok());
            }
            SpillWork::Write(write) => self.write(&write),
            SpillWork::Nothing => {}
        }
        // There is something to deliver, or more room.
        self.link.push(LoopCommand::Room);
        true
    }

    fn write(&mut self, write: &SpillWrite) {
        match self.store.write(&write.turns) {
            Ok(Some(place)) => self.link.log().spilled(write, place),
            Ok(None) => self.link.log().spill_is_full(write),
            Err(error) => failed(&self.link, error),
        }
    }
}
