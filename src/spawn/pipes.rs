//! The descriptors of a spawn, all made before the process is.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::{Command, ErrorOutput, Output, SpawnStep, Stdin, Stream, command::Extra, sys};

/// The parent's ends of a child's pipes.
#[derive(Debug)]
pub(super) struct ParentEnds {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) outputs: SmallVec<[(Stream, OwnedFd); 2]>,
    /// The status pipe, both ends: the write end goes to the waiter.
    pub(super) status: OwnedFd,
    pub(super) status_writer: OwnedFd,
}

/// One of the child's standard streams.
#[derive(Debug)]
pub(super) enum ChildEnd {
    /// The parent's own.
    Inherit,
    Null,
    Own(OwnedFd),
}

/// The child's standard streams.
#[derive(Debug)]
pub(super) struct ChildEnds {
    pub(super) stdin: ChildEnd,
    pub(super) stdout: ChildEnd,
    pub(super) stderr: ChildEnd,
    /// By their numbers.
    pub(super) extra: Vec<(i32, Arc<OwnedFd>)>,
}

/// The ends of a pipeline's inner pipes that a child gets, whatever its command says.
#[derive(Debug, Default)]
pub(super) struct InnerEnds {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
}

/// Makes everything, or nothing. All of it is closed on exec.
pub(super) fn reserve(
    command: &Command,
    inner: InnerEnds,
) -> Result<(ParentEnds, ChildEnds), (SpawnStep, io::Error)> {
    let stdin = match inner.stdin {
        Some(end) => Ok((None, ChildEnd::Own(end))),
        None => stdin(&command.stdin),
    };
    let stdin = stdin.map_err(|error| (SpawnStep::PrepareStdin, error))?;
    outputs(command, stdin, inner.stdout).map_err(|error| (SpawnStep::ReserveDescriptors, error))
}

/// The input's ends: `(parent's, child's)`; the parent has one where it writes.
fn stdin(stdin: &Stdin) -> io::Result<(Option<OwnedFd>, ChildEnd)> {
    Ok(match stdin {
        Stdin::Null => (None, ChildEnd::Null),
        Stdin::Inherit => (None, ChildEnd::Inherit),
        Stdin::Bytes(bytes) => (None, ChildEnd::Own(sys::stdin_file::holding(bytes)?)),
        Stdin::File(file) => (None, ChildEnd::Own(file.try_clone()?)),
        Stdin::Piped => {
            let (reader, writer) = sys::pipe::pair()?;
            sys::pipe::enlarge(&writer);
            (Some(writer), ChildEnd::Own(reader))
        }
    })
}

fn outputs(
    command: &Command,
    (writer, stdin): (Option<OwnedFd>, ChildEnd),
    inner_stdout: Option<OwnedFd>,
) -> io::Result<(ParentEnds, ChildEnds)> {
    let (stdout, child_stdout) = match inner_stdout {
        Some(end) => (None, ChildEnd::Own(end)),
        None => output(&command.stdout)?,
    };
    let (stderr, child_stderr) = match &command.stderr {
        ErrorOutput::To(place) => output(place)?,
        ErrorOutput::WithStdout => (None, same(&child_stdout)?),
    };
    let (status, status_writer) = sys::pipe::pair()?;
    let mut outputs = SmallVec::new();
    outputs.extend(stdout.map(|pipe| (Stream::Stdout, pipe)));
    outputs.extend(stderr.map(|pipe| (Stream::Stderr, pipe)));
    let mut extra = Vec::with_capacity(command.extra.len());
    for (number, kind) in &command.extra {
        let child = match kind {
            Extra::Given(descriptor) => Arc::clone(descriptor),
            Extra::Log => {
                let (reader, writer) = sys::pipe::pair()?;
                outputs.push((Stream::Extra(*number), reader));
                Arc::new(writer)
            }
        };
        extra.push((*number, child));
    }
    let child = ChildEnds { stdin, stdout: child_stdout, stderr: child_stderr, extra };
    Ok((ParentEnds { stdin: writer, outputs, status, status_writer }, child))
}

/// An output's ends: `(parent's, child's)`; the parent has one where it goes to the log.
fn output(place: &Output) -> io::Result<(Option<OwnedFd>, ChildEnd)> {
    Ok(match place {
        Output::Log => {
            let (reader, writer) = sys::pipe::pair()?;
            (Some(reader), ChildEnd::Own(writer))
        }
        Output::Inherit => (None, ChildEnd::Inherit),
        Output::Null => (None, ChildEnd::Null),
        Output::Shared(shared) => (None, ChildEnd::Own(shared.writer()?)),
    })
}

/// The place of standard output once more, for standard error.
fn same(stdout: &ChildEnd) -> io::Result<ChildEnd> {
    let same = match stdout {
        ChildEnd::Own(stdout) => stdout.try_clone()?,
        ChildEnd::Inherit => io::stdout().as_fd().try_clone_to_owned()?,
        ChildEnd::Null => return Ok(ChildEnd::Null),
    };
    Ok(ChildEnd::Own(same))
}
