//! The crate's errors: one type per operation, each naming what failed and what the system said.

use std::{fmt, io};

use super::{ChildId, Part};

/// The step of a spawn that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnStep {
    /// Checking the command: an empty program, a NUL byte in a name, argument or variable.
    CheckCommand,
    /// Asking the child watcher: it is not active (asyncio's rule: nothing is spawned then).
    CheckWatcher,
    /// Reserving the pipes and the other descriptors (`EMFILE`, `ENFILE`).
    ReserveDescriptors,
    /// Preparing what the child reads as its standard input.
    PrepareStdin,
    /// Opening the child's terminal, or giving the child control of it.
    OpenTerminal,
    /// Making the process itself (`EAGAIN`: `RLIMIT_NPROC` or the PID limit; `ENOMEM`).
    CreateProcess,
    /// Joining the named process group.
    JoinGroup,
    /// Entering the working directory.
    EnterDirectory,
    /// Executing the program: it does not exist, is no program, or may not be executed.
    Execute,
    /// Opening the pidfd and watching it. The child had started; it was killed and reaped.
    Watch,
    /// Handing the command over: the policy is shutting down or has stopped.
    Intake,
}

impl fmt::Display for SpawnStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            SpawnStep::CheckCommand => "check the command",
            SpawnStep::CheckWatcher => "have it watched",
            SpawnStep::ReserveDescriptors => "reserve its descriptors",
            SpawnStep::PrepareStdin => "prepare its standard input",
            SpawnStep::OpenTerminal => "open its terminal",
            SpawnStep::CreateProcess => "create the process",
            SpawnStep::JoinGroup => "join its process group",
            SpawnStep::EnterDirectory => "enter the working directory",
            SpawnStep::Execute => "execute it",
            SpawnStep::Watch => "watch it",
            SpawnStep::Intake => "hand it to the policy",
        })
    }
}

/// A child could not be spawned. No process, descriptor or log entry of it remains.
#[derive(Debug, thiserror::Error)]
#[error("cannot spawn `{program}`: could not {step}: {source}")]
pub struct SpawnError {
    /// The program as the command named it.
    pub program: String,
    /// The step that failed.
    pub step: SpawnStep,
    /// What the operating system (or the check) said.
    pub source: io::Error,
}

/// A policy could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something that the policy needs for itself could not be made.
    #[error("cannot start the policy: could not {step}: {source}")]
    Resources {
        /// The step that failed.
        step: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Neither `clone3` nor `clone` makes a process with its pidfd here, so no child can run: a
    /// sandbox refuses both, or the kernel is older than 5.4.
    #[error("cannot start the policy: no process can be launched here: {0}")]
    Launch(#[source] io::Error),
    /// The requested driver does not work here.
    #[error("the `{driver}` pipe driver is not available: {source}")]
    Driver {
        /// The driver's name.
        driver: &'static str,
        /// Why the probe or the self-test refused it.
        source: io::Error,
    },
    /// The log's bound is too small.
    #[error("the log cannot be bound to {bytes} bytes: it needs {least} at least")]
    LogBound {
        /// The requested bound.
        bytes: u64,
        /// The smallest possible bound.
        least: u64,
    },
    /// The bound of the spill files is too small.
    #[error("files cannot be bound to {bytes} bytes: they need {least} at least")]
    SpillBound {
        /// The requested bound.
        bytes: u64,
        /// The smallest possible bound.
        least: u64,
    },
    /// The log is to spill, and no directory was given.
    #[error("`Overflow::Spill` needs a directory: `PolicyBuilder::spill`")]
    NoSpillDirectory,
    /// The process-wide policy could not provide a child watcher.
    #[error(transparent)]
    ChildWatcher(#[from] WatchError),
    /// `ACTIX_PROCESS_DRIVER` names no driver.
    #[error("ACTIX_PROCESS_DRIVER is `{0}`: expected `ring` or `sweep`")]
    UnknownDriver(String),
}

/// A signal could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The child has ended (or belongs to another policy): nothing was signalled.
    #[error("cannot signal {0}: it has ended")]
    Ended(ChildId),
    /// The kernel refused.
    #[error("cannot signal {child}: {source}")]
    Refused {
        /// The child that was to be signalled.
        child: ChildId,
        /// What the kernel said.
        source: io::Error,
    },
    /// The policy has stopped, and with it every child.
    #[error(transparent)]
    Stopped(#[from] PolicyStopped),
}

/// A child's terminal could not be resized or hung up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// The child does not run on a terminal.
    #[error("{0} does not run on a terminal")]
    None(ChildId),
    /// The terminal is closed: the child has ended, or the terminal was hung up.
    #[error("the terminal of {0} is closed")]
    Closed(ChildId),
    /// The kernel refused.
    #[error("cannot resize the terminal of {child}: {source}")]
    Refused {
        /// The child.
        child: ChildId,
        /// What the kernel said.
        source: io::Error,
    },
    /// The policy has stopped, and with it every child.
    #[error(transparent)]
    Stopped(#[from] PolicyStopped),
}

impl StartError {
    pub(crate) fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| StartError::Resources { step, source }
    }
}

/// Why a policy has stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyStopped {
    /// It was shut down, or its last handle was dropped, or its actix System stopped.
    #[error("the policy was shut down")]
    Shutdown,
    /// A part of it panicked more often than the intensity allows (the rule of OTP's supervisors).
    #[error("the policy gave up: {part} panicked {panics} times in {window:?}; last: {message}")]
    GaveUp {
        /// The part that panicked last.
        part: Part,
        /// How many panics the window held.
        panics: usize,
        /// The window in which they were counted.
        window: std::time::Duration,
        /// The last panic's message.
        message: String,
    },
    /// The pipe driver failed in a way that no retry repairs.
    #[error("the policy gave up: the pipe driver failed: {0}")]
    DriverFailed(String),
}

/// A child could not be watched, or a watcher could not be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The watcher is not attached to a running loop, or it is closed.
    #[error("the child watcher is not active: attach it to a running event loop")]
    Inactive,
    /// The PID is not that of a child of this process.
    #[error("process {0} is no child of this process")]
    NotAChild(i32),
    /// A system call failed.
    #[error("cannot watch {what}: could not {step}: {source}")]
    System {
        /// What was to be watched: a child's PID, or `SIGCHLD`.
        what: String,
        /// The step that failed.
        step: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Bytes could not be written to a child.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdinError {
    /// The input was ended before, by [`ChildStdin::write_eof`](crate::ChildStdin::write_eof) or
    /// [`ChildStdin::abort`](crate::ChildStdin::abort).
    #[error("the child's standard input was ended before")]
    Ended,
    /// The child no longer reads its input: the child has ended or closed it (`EPIPE`).
    #[error("the child does not read its standard input any more: {0}")]
    Unread(#[source] io::Error),
    /// The low water mark is above the high one, or the high one is 0.
    #[error("the low water mark {low} is above the high one {high}, or that is 0")]
    Marks {
        /// The low mark.
        low: usize,
        /// The high mark.
        high: usize,
    },
}
