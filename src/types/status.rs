//! How a child ended, and what it used: the vocabulary of exits.

use std::{fmt, time::Duration};

use nix::sys::signal::Signal;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// The child returned from `main` or called `exit` with this code, 0 to 255.
    Code(i32),
    /// A signal ended the child.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel wrote (or tried to write) a core file.
        core_dumped: bool,
    },
    /// Other code took the status: another part of the program waited for the child, or `SIGCHLD`
    /// is ignored and the kernel reaped it. What the child returned cannot be known.
    Lost,
}

impl ExitStatus {
    /// Whether the child ended with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == ExitStatus::Code(0)
    }

    /// The exit code, 0 to 255, if the child ended by itself.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            ExitStatus::Code(code) => Some(code),
            ExitStatus::Signaled { .. } | ExitStatus::Lost => None,
        }
    }

    /// The number of the signal that ended the child, if one did.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self {
            ExitStatus::Signaled { signal, .. } => Some(signal),
            ExitStatus::Code(_) | ExitStatus::Lost => None,
        }
    }

    /// The status in the form of asyncio's child watchers: the exit code, the negative signal
    /// number, or 255 if the status is lost.
    #[must_use]
    pub fn returncode(self) -> i32 {
        match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signaled { signal, .. } => -signal,
            ExitStatus::Lost => 255,
        }
    }

    /// The status in the form of a shell's `$?`: the exit code, 128 plus the signal number, or 255
    /// if the status is lost.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        let code = match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signaled { signal, .. } => 128 + signal,
            ExitStatus::Lost => 255,
        };
        u8::try_from(code).unwrap_or(255)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitStatus::Code(code) => write!(out, "exit code {code}"),
            ExitStatus::Signaled { signal, core_dumped } => {
                match Signal::try_from(signal) {
                    Ok(named) => write!(out, "{}", named.as_str())?,
                    Err(_) => write!(out, "signal {signal}")?,
                }
                if core_dumped { write!(out, " (core dumped)") } else { Ok(()) }
            }
            ExitStatus::Lost => write!(out, "status lost"),
        }
    }
}

/// What a child used until it was reaped, together with the descendants that it waited for
/// (`getrusage(2)`). All zero if the status is [`ExitStatus::Lost`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceUsage {
    /// CPU time in user mode.
    pub user_time: Duration,
    /// CPU time in the kernel.
    pub system_time: Duration,
    /// Largest resident set size, in KiB.
    pub peak_memory_kib: u64,
}

impl ResourceUsage {
    /// User and system time together.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.user_time + self.system_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_negative_for_asyncio_and_over_128_for_a_shell() {
        let killed = ExitStatus::Signaled { signal: 9, core_dumped: false };
        assert_eq!((killed.returncode(), killed.shell_code()), (-9, 137));
        assert_eq!(killed.to_string(), "SIGKILL");
    }

    #[test]
    fn a_lost_status_is_255_and_no_success() {
        assert_eq!((ExitStatus::Lost.returncode(), ExitStatus::Lost.success()), (255, false));
    }
}
