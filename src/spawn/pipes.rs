//! The descriptors of a spawn, all made before the process is.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::Stdio,
};

use crate::{Command, ErrorOutput, Output, sys};

/// The parent's ends of a child's pipes.
#[derive(Debug)]
pub(super) struct ParentEnds {
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// The status pipe, both ends: the write end goes to the waiter.
    pub(super) status: OwnedFd,
    pub(super) status_writer: OwnedFd,
    /// Holds a place in the descriptor table for the pidfd, which can be had only afterwards.
    pub(super) reserved: OwnedFd,
}

/// The child's ends of its output pipes.
#[derive(Debug)]
pub(super) struct ChildEnds {
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

/// Makes everything, or nothing. All of it is closed on exec.
pub(super) fn reserve(command: &Command) -> io::Result<(ParentEnds, ChildEnds)> {
    let (stdout, child_stdout) = output(command.stdout)?;
    let (stderr, child_stderr) = match command.stderr {
        ErrorOutput::To(place) => output(place)?,
        ErrorOutput::WithStdout => (None, same(command.stdout, &child_stdout)?),
    };
    let (status, status_writer) = sys::pipe::pair()?;
    let reserved = duplicate(&status)?;
    let stdio = |end: Option<OwnedFd>, place| match (end, place) {
        (Some(end), _) => Stdio::from(end),
        (None, Output::Inherit) => Stdio::inherit(),
        (None, Output::Log | Output::Null) => Stdio::null(),
    };
    let stderr_place = match command.stderr {
        ErrorOutput::To(place) => place,
        ErrorOutput::WithStdout => Output::Null,
    };
    let child = ChildEnds {
        stdout: stdio(child_stdout, command.stdout),
        stderr: stdio(child_stderr, stderr_place),
    };
    Ok((ParentEnds { stdout, stderr, status, status_writer, reserved }, child))
}

/// A pipe for an output that goes to the log: `(parent's end, child's end)`.
fn output(place: Output) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    match place {
        Output::Log => {
            let (reader, writer) = sys::pipe::pair()?;
            Ok((Some(reader), Some(writer)))
        }
        Output::Inherit | Output::Null => Ok((None, None)),
    }
}

/// The place of standard output once more, for standard error.
fn same(place: Output, stdout: &Option<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match (stdout, place) {
        (Some(stdout), _) => Ok(Some(duplicate(stdout)?)),
        (None, Output::Inherit) => Ok(Some(duplicate(io::stdout())?)),
        (None, Output::Log | Output::Null) => Ok(None),
    }
}

fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
