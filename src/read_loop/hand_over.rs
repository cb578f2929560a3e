//! The hand-over: a driver has failed for good, and the next one goes on with its pipes.
//!
//! What was found goes before what will be, each thing that was given up is added on its own, and
//! the pauses are the children table's: a panic in between leaves the rest for the next turn.

use std::io;

use super::core::Core;
use crate::{
    pipes::{Held, PipeKind, fallback},
    restart::trace,
};

impl Core {
    /// Gives the pipes of a driver that has failed to the next one. The error is the loop's end if
    /// there is none.
    pub(super) fn hand_over(&mut self, error: io::Error) -> io::Result<()> {
        if !self.driver.give_up(&mut self.found, &mut self.held) {
            return Err(error);
        }
        let next = fallback();
        self.link.attach(next.waker(), next.needs_poll_soon());
        let failed = std::mem::replace(&mut self.driver, next);
        self.take_over();
        // A ring lets go of its pipes when it is closed.
        drop(failed);
        trace::warn!(%error, "io_uring has failed: sweeping the pipes from now on");
        Ok(())
    }

    /// Adds what was given up to the driver in use.
    pub(super) fn take_over(&mut self) {
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Reader(key, end) => {
                    // Its child's entry may be gone: then the pipe is closed.
                    let Some(entry) = self.children.get_mut(&key.child) else { continue };
                    let token = self.driver.add(key, end);
                    match key.kind {
                        PipeKind::Output(stream) => entry.replace_output(stream, token),
                        PipeKind::Status | PipeKind::Input => entry.status = Some(token),
                    }
                    entry.follow_pauses(&mut *self.driver);
                }
                Held::Writer(key, end, unwritten) => {
                    let Some(entry) = self.children.get_mut(&key.child) else { continue };
                    let token = self.driver.add_writer(key, end);
                    entry.input = Some(token);
                    if let Some(bytes) = unwritten {
                        self.driver.write(token, bytes);
                    }
                }
            }
        }
    }
}
