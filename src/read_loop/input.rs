//! The children's input, and the pauses of their output.

use super::{child_state::Phase, core::Core};
use crate::{ChildId, Source, cell::Step, pipes::PipeEvent};

impl Core {
    /// Passes the next buffer of a child's input to the driver, or closes the input at its end.
    pub(super) fn feed(&mut self, child: ChildId) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        let (Some(token), Some(input)) = (entry.input, &entry.cell.input) else { return };
        match input.step() {
            Step::Close => self.end_input(child, None),
            Step::Write(_) if entry.writing => {}
            Step::Write(bytes) => {
                entry.writing = true;
                self.driver.write(token, bytes);
            }
            Step::Wait => {}
        }
    }

    /// The driver has written some of a buffer, or failed to.
    pub(super) fn fed(&mut self, child: ChildId, what: PipeEvent) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        entry.writing = false;
        match what {
            PipeEvent::Written(len) => {
                if let Some(input) = &entry.cell.input {
                    input.written(len);
                }
                self.feed(child);
            }
            PipeEvent::Failed(error) => {
                entry.input = None;
                self.end_input(child, error.raw_os_error());
            }
            PipeEvent::End => {
                entry.input = None;
                self.end_input(child, Some(libc::EIO));
            }
            PipeEvent::Bytes(_) | PipeEvent::From(..) => {}
        }
    }

    /// Closes the input and tells its writers why.
    pub(super) fn end_input(&mut self, child: ChildId, errno: Option<i32>) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        if let Some(token) = entry.input.take() {
            self.driver.remove_writer(token);
        }
        if let Some(input) = &entry.cell.input {
            input.close(errno);
        }
    }

    /// Pauses or resumes the reading of a stream.
    pub(super) fn reading(&mut self, child: ChildId, stream: Source, paused: bool) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        if !matches!(entry.state.phase(), Phase::Running | Phase::Shared) {
            return;
        }
        let pipes = entry.outputs.iter_mut().filter(|pipe| pipe.stream == stream);
        pipes.for_each(|pipe| pipe.paused = paused);
        entry.follow_pauses(&mut *self.driver);
    }
}
