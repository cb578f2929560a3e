//! `PipeEnd`: the parent's end of a pipe context, and how it is read.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::Observed;

/// What a context goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A pipe.
    Pipe,
    /// A socket that tells who wrote.
    Attributed,
    /// A terminal, whose own end is an error of the system's (`EIO`).
    Terminal,
}

impl Medium {
    /// What an error of a read or a write is.
    pub(super) fn failed(self, errno: Errno) -> Observed {
        match (self, errno) {
            // Nobody has the child's side open.
            (Medium::Terminal, Errno::EIO) => Observed::End,
            _ => Observed::Failed(errno.into()),
        }
    }
}

/// An end of a context.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    pub(crate) medium: Medium,
    pub(crate) descriptor: OwnedFd,
}

impl From<OwnedFd> for PipeEnd {
    fn from(descriptor: OwnedFd) -> Self {
        PipeEnd { medium: Medium::Pipe, descriptor }
    }
}
