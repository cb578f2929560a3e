//! What a ring gives up when the kernel no longer serves it: nothing is lost or comes twice.
//!
//! The ring is made with `DEFER_TASKRUN`: an operation reads or writes only while this thread is in
//! `io_uring_enter`, and the teardown of a ring cancels what it finds. So between two calls every
//! operation either has its completion, which is read without a call, or has done nothing.

use std::collections::VecDeque;

use io_uring::{
    EnterFlags,
    types::{CancelBuilder, Timespec},
};

use super::{driver::Ring, slot::Mode};
use crate::pipes::{Completion, PipeEvent, driver::Held};

/// How often the kernel is asked for completions that it holds back.
const ROUNDS: usize = 64;

impl Ring {
    pub(super) fn give_up_all(
        &mut self,
        found: &mut VecDeque<Completion>,
        held: &mut VecDeque<Held>,
    ) {
        self.take_completions(found);
        // If the kernel still allows it: lets go of the pipes now, not at the ring's teardown.
        let at_once = Some(Timespec::new());
        let _ = self.ring.0.submitter().register_sync_cancel(at_once, CancelBuilder::any());
        for _ in 0..ROUNDS {
            // Nothing is submitted any more: a queued operation has done nothing, and will not.
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: no argument is passed; the flags and counts are those of the manual page.
            let entered =
                unsafe { self.ring.0.submitter().enter::<libc::sigset_t>(0, 0, flags, None) };
            if !self.take_completions(found) || entered.is_err() {
                break;
            }
        }
        self.coalescer.flush(&mut |key, bytes| {
            found.push_back(Completion { key, what: PipeEvent::Bytes(bytes) });
        });
        let pipes = self.slots.take_all();
        let pipes = pipes.filter(|pipe| pipe.reading.mode() != Mode::Leaving);
        held.extend(pipes.map(|pipe| Held::Reader(pipe.key, pipe.end)));
        held.extend(self.watched.give_up());
        held.extend(self.writers.give_up());
        self.ended.clear();
    }

    /// Takes the completions that have come. Returns false if there were none.
    fn take_completions(&mut self, found: &mut VecDeque<Completion>) -> bool {
        let mut some = false;
        while let Some(entry) = { self.ring.0.completion().next() } {
            some = true;
            // It adds to `found` before it can fail to ask for more.
            let _ = self.complete(&entry, found);
        }
        some
    }
}
