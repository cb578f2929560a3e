//! The descriptors of a spawn, all made before the process.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use smallvec::{SmallVec, smallvec};

use crate::{
    Command, ErrorTo, OutputTo, Source, SpawnStep, Stdin, Terminal,
    command::Extra,
    pipes::{Medium, PipeEnd},
    sys,
};

/// The parent's ends of a child's pipes.
#[derive(Debug)]
pub(super) struct ParentEnds {
    pub(super) stdin: Option<PipeEnd>,
    pub(super) outputs: SmallVec<[(Source, PipeEnd); 2]>,
    /// The child's side of its terminal, which keeps the terminal open while the child lives.
    pub(super) terminal: Option<OwnedFd>,
    /// Both ends of the status pipe: the write end goes to the waiter.
    pub(super) status: OwnedFd,
    pub(super) status_writer: OwnedFd,
}

/// One of the child's standard streams.
#[derive(Debug)]
pub(super) enum ChildEnd {
    /// The parent's own stream.
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
    /// The extra descriptors, with their numbers.
    pub(super) extra: Vec<(i32, Arc<OwnedFd>)>,
}

/// A child's ends of a pipeline's inner pipes. They replace what its command says.
#[derive(Debug, Default)]
pub(super) struct InnerEnds {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
}

/// Makes all descriptors, or none. All are closed on exec.
pub(super) fn reserve(
    command: &Command,
    inner: InnerEnds,
) -> Result<(ParentEnds, ChildEnds), (SpawnStep, io::Error)> {
    let reserve = |error| (SpawnStep::ReserveDescriptors, error);
    if let Some(terminal) = &command.terminal {
        let standard = on_terminal(terminal).map_err(|error| (SpawnStep::OpenTerminal, error))?;
        return with_extra(command, standard).map_err(reserve);
    }
    let stdin = match inner.stdin {
        Some(end) => Ok((None, ChildEnd::Own(end))),
        None => stdin(&command.stdin),
    };
    let stdin = stdin.map_err(|error| (SpawnStep::PrepareStdin, error))?;
    let standard = outputs(command, stdin, inner.stdout).map_err(reserve)?;
    with_extra(command, standard).map_err(reserve)
}

/// Both sides' ends of the standard streams.
struct Standard {
    /// The parent's end of the input, if the parent writes it.
    writer: Option<PipeEnd>,
    outputs: SmallVec<[(Source, PipeEnd); 2]>,
    terminal: Option<OwnedFd>,
    stdin: ChildEnd,
    stdout: ChildEnd,
    stderr: ChildEnd,
}

/// One terminal is all three streams.
fn on_terminal(terminal: &Terminal) -> io::Result<Standard> {
    let Terminal { rows, columns, echo } = *terminal;
    let (controller, terminal) = sys::terminal::open(rows, columns, echo)?;
    let end = |descriptor| PipeEnd { medium: Medium::Terminal, descriptor };
    Ok(Standard {
        writer: Some(end(controller.try_clone()?)),
        outputs: smallvec![(Source::Stdout, end(controller))],
        terminal: Some(terminal.try_clone()?),
        stdin: ChildEnd::Own(terminal.try_clone()?),
        stdout: ChildEnd::Own(terminal.try_clone()?),
        stderr: ChildEnd::Own(terminal),
    })
}

/// The input's ends: `(parent's, child's)`. The parent has one if it writes the input.
fn stdin(stdin: &Stdin) -> io::Result<(Option<OwnedFd>, ChildEnd)> {
    Ok(match stdin {
        Stdin::Null => (None, ChildEnd::Null),
        Stdin::Inherit => (None, ChildEnd::Inherit),
        Stdin::Bytes(bytes) => (None, ChildEnd::Own(sys::stdin_file::holding(bytes)?)),
        Stdin::File(file) => (None, ChildEnd::Own(file.try_clone()?)),
        Stdin::Piped => {
            let (reader, writer) = sys::pipe::pair()?;
            (Some(writer), ChildEnd::Own(reader))
        }
    })
}

fn outputs(
    command: &Command,
    (writer, stdin): (Option<OwnedFd>, ChildEnd),
    inner_stdout: Option<OwnedFd>,
) -> io::Result<Standard> {
    let (reader, stdout) = match inner_stdout {
        Some(end) => (None, ChildEnd::Own(end)),
        None => output(&command.stdout)?,
    };
    let (error_reader, stderr) = match &command.stderr {
        ErrorTo::To(place) => output(place)?,
        ErrorTo::WithStdout => (None, same(&stdout)?),
    };
    let mut outputs = SmallVec::new();
    outputs.extend(reader.map(|pipe| (Source::Stdout, pipe.into())));
    outputs.extend(error_reader.map(|pipe| (Source::Stderr, pipe.into())));
    let writer = writer.map(PipeEnd::from);
    Ok(Standard { writer, outputs, terminal: None, stdin, stdout, stderr })
}

fn with_extra(command: &Command, standard: Standard) -> io::Result<(ParentEnds, ChildEnds)> {
    let Standard { writer, mut outputs, terminal, stdin, stdout, stderr } = standard;
    let (status, status_writer) = sys::pipe::pair_for_a_record()?;
    let mut extra = Vec::with_capacity(command.extra.len());
    for (number, kind) in &command.extra {
        let child = match kind {
            Extra::Given(descriptor) => Arc::clone(descriptor),
            Extra::Log => {
                let (reader, writer) = sys::pipe::pair()?;
                outputs.push((Source::Extra(*number), reader.into()));
                Arc::new(writer)
            }
        };
        extra.push((*number, child));
    }
    let child = ChildEnds { stdin, stdout, stderr, extra };
    Ok((ParentEnds { stdin: writer, outputs, terminal, status, status_writer }, child))
}

/// An output's ends: `(parent's, child's)`. The parent has one if the output goes to the log.
fn output(place: &OutputTo) -> io::Result<(Option<OwnedFd>, ChildEnd)> {
    Ok(match place {
        OutputTo::Log => {
            let (reader, writer) = sys::pipe::pair()?;
            (Some(reader), ChildEnd::Own(writer))
        }
        OutputTo::Inherit => (None, ChildEnd::Inherit),
        OutputTo::Null => (None, ChildEnd::Null),
        OutputTo::Shared(shared) => (None, ChildEnd::Own(shared.writer()?)),
        OutputTo::File(file) => (None, ChildEnd::Own(file.try_clone()?)),
    })
}

/// Duplicates the end of standard output, for standard error.
fn same(stdout: &ChildEnd) -> io::Result<ChildEnd> {
    let same = match stdout {
        ChildEnd::Own(stdout) => stdout.try_clone()?,
        ChildEnd::Inherit => io::stdout().as_fd().try_clone_to_owned()?,
        ChildEnd::Null => return Ok(ChildEnd::Null),
    };
    Ok(ChildEnd::Own(same))
}
