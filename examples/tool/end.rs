//! How a tool ends: by an exit code, or by the signal that ended it.

use std::{
    io::ErrorKind,
    process::{self, ExitCode},
};

use nix::sys::signal::{SigSet, Signal, raise};

use super::write::Stream;

/// What a shell shows for a program that SIGPIPE ended.
pub(crate) const NO_READER: u8 = 141;

/// How the tool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Code(u8),
    /// The same signal ends the tool itself after its clean-up, so that a shell loop ends, too.
    Signal(Signal),
}

impl End {
    pub(crate) fn is_signal(self) -> bool {
        matches!(self, End::Signal(_))
    }

    /// What counts if `later` comes while the tool is ending: the first signal, or else the failure.
    pub(crate) fn or(self, later: End) -> End {
        if self.is_signal() { self } else { later }
    }

    /// Ends the program.
    pub(crate) fn leave(self) -> ! {
        let signal = match self {
            End::Code(code) => process::exit(code.into()),
            End::Signal(signal) => signal,
        };
        // SIGQUIT asks for the end, not for a core file of a tool that works.
        let _ = nix::sys::prctl::set_dumpable(false);
        // No handler was ever set: the signal was only blocked.
        let _ = SigSet::from(signal).thread_unblock();
        let _ = raise(signal);
        process::exit(128 + signal as i32)
    }
}

/// Says why the tool does not start.
pub(crate) fn fail(tool: &str, code: u8, message: &str) -> ExitCode {
    // There is no place left to tell it if standard error fails.
    let _ = Stream::Errors.write_all(format!("{tool}: {message}\n").as_bytes());
    ExitCode::from(code)
}

/// Prints a text instead of running.
pub(crate) fn print(tool: &str, text: &str) -> ExitCode {
    match Stream::Output.write_all(format!("{text}\n").as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(NO_READER),
        Err(error) => fail(tool, 1, &format!("cannot write: {error}")),
    }
}
