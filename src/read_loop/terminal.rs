//! Actions on the children's terminals.

use super::{TerminalAction, core::Core};
use crate::{
    ChildId, Source,
    pipes::{Medium, PipeKind},
    sys,
    types::TerminalError,
};

impl Core {
    /// From here on the terminal ends once no process has it open.
    pub(super) fn let_go_of_terminal(&mut self, child: ChildId) {
        let extras = self.children.get_mut(&child).and_then(|entry| entry.extras.as_mut());
        if let Some(extras) = extras {
            extras.terminal = None;
        }
    }

    /// Resizes or hangs up the terminal of a child.
    pub(super) fn terminal(
        &mut self,
        child: ChildId,
        action: TerminalAction,
    ) -> Result<(), TerminalError> {
        let entry = self.children.get(&child).ok_or(TerminalError::Closed(child))?;
        let token =
            entry.pipe(PipeKind::Output(Source::Stdout)).ok_or(TerminalError::Closed(child))?;
        let end = self.driver.pipe(token).ok_or(TerminalError::Closed(child))?;
        if end.medium != Medium::Terminal {
            return Err(TerminalError::None(child));
        }
        match action {
            TerminalAction::Resize { rows, columns } => {
                sys::terminal::resize(&end.descriptor, rows, columns)
                    .map_err(|source| TerminalError::Refused { child, source })
            }
            TerminalAction::HangUp => {
                // Read what the terminal holds now: the hang-up would discard it.
                self.drain_all(child);
                while let Some(found) = self.found.pop_front() {
                    self.take(found);
                }
                self.driver.remove(token);
                self.end_input(child, Some(libc::EIO));
                self.let_go_of_terminal(child);
                self.ended(child, Source::Stdout);
                Ok(())
            }
        }
    }
}
