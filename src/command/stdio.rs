//! Where a child's three standard streams go.

use std::{os::fd::OwnedFd, sync::Arc};

use bytes::Bytes;

use super::SharedOutput;

/// What a child reads as its standard input.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// `/dev/null`: end of file at once.
    #[default]
    Null,
    /// The parent's own standard input.
    Inherit,
    /// A pipe that [`Child::stdin`](crate::Child::stdin) writes to.
    Piped,
    /// These bytes, then end of file. They are handed over as an in-memory file, so that no size
    /// can block anyone and no writer has to outlive the spawn.
    Bytes(Bytes),
}

/// Where a child's standard output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Through a pipe into the merged log.
    #[default]
    Log,
    /// The parent's own stream.
    Inherit,
    /// `/dev/null`.
    Null,
    /// Into the merged log through a pipe that other children write to, too.
    Shared(SharedOutput),
}

/// What an extra descriptor of a child is.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    /// A copy of this one.
    Given(Arc<OwnedFd>),
    /// A pipe into the merged log.
    Log,
}

/// Where a child's standard error goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorOutput {
    /// To a place of its own.
    To(Output),
    /// Wherever standard output goes, on the same pipe, so that the order of the child's own
    /// writes to both is kept (`2>&1`). The log tells such bytes as standard output.
    WithStdout,
}

impl Default for ErrorOutput {
    fn default() -> Self {
        ErrorOutput::To(Output::Log)
    }
}

impl From<Output> for ErrorOutput {
    fn from(output: Output) -> Self {
        ErrorOutput::To(output)
    }
}
