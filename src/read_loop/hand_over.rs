//! The hand-over: a driver has failed for good, and the next driver continues with its pipes.
//!
//! Earlier completions come before later ones, each given-up pipe is added on its own, and the
//! pauses are in the children table: after a panic the next turn does the rest.

use std::io;

use super::core::Core;
use crate::{
    pipes::{Held, PipeKind, fallback},
    restart::trace,
};

impl Core {
    /// Moves the pipes of a failed driver to the next one. Returns the error, which ends the loop,
    /// if the driver cannot give up its pipes.
    pub(super) fn hand_over(&mut self, error: io::Error) -> io::Result<()> {
        if !self.driver.give_up(&mut self.found, &mut self.held) {
            return Err(error);
        }
        let next = fallback();
        self.link.attach(next.waker(), next.needs_poll_soon());
        let failed = std::mem::replace(&mut self.driver, next);
        self.take_over();
        // Closing a ring releases its pipes.
        drop(failed);
        trace::warn!(%error, "io_uring has failed: sweeping the pipes from now on");
        Ok(())
    }

    /// Adds the given-up pipes to the driver in use.
    pub(super) fn take_over(&mut self) {
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Reader(key, end) => {
                    // If the child's entry is gone, the pipe is closed.
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
