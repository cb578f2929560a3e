//! `PipeEnd`: the parent's end of a pipe context, and how it is read.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::PipeEvent;
use crate::sys;

/// What a context is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A pipe.
    Pipe,
    /// A socket that names the writing process.
    Attributed,
    /// A terminal: its end is an error of the system (`EIO`), and its descriptor never waits.
    Terminal,
}

impl Medium {
    /// What an error of a read or a write means.
    pub(super) fn failed(self, errno: Errno) -> PipeEvent {
        match (self, errno) {
            // No process has the child's side open.
            (Medium::Terminal, Errno::EIO) => PipeEvent::End,
            _ => PipeEvent::Failed(errno.into()),
        }
    }
}

/// An end of a context.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    pub(crate) medium: Medium,
    pub(crate) descriptor: OwnedFd,
}

impl PipeEnd {
    /// Reads without waiting. Also returns the process that wrote it, if that is known.
    pub(crate) fn read_now(&self, into: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
        match self.medium {
            Medium::Attributed => sys::credentials::receive(&self.descriptor, into),
            Medium::Pipe => sys::pipe::read_now(&self.descriptor, into).map(|len| (len, None)),
            Medium::Terminal => nix::unistd::read(&self.descriptor, into).map(|len| (len, None)),
        }
    }
}

/// Whether a pipe that is written to was enlarged: once, when it was first seen full.
#[derive(Debug, Default)]
pub(super) struct Growth(bool);

impl Growth {
    pub(super) fn is_done(&self) -> bool {
        self.0
    }

    /// The pipe was seen full.
    pub(super) fn was_full(&mut self, end: &PipeEnd) {
        if !std::mem::replace(&mut self.0, true) && end.medium == Medium::Pipe {
            sys::pipe::enlarge(&end.descriptor);
        }
    }
}

impl From<OwnedFd> for PipeEnd {
    fn from(descriptor: OwnedFd) -> Self {
        PipeEnd { medium: Medium::Pipe, descriptor }
    }
}
