//! `OutputError`: why there is no output, or not all of it.

use super::Output;
use crate::{PolicyStopped, SpawnError};

/// The output of a child could not be had, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The child could not be spawned.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The policy ended before the child's status was known.
    #[error(transparent)]
    Stopped(#[from] PolicyStopped),
    /// The log had dropped a part of it before it was asked for.
    #[error("{bytes} bytes of the output are missing: the log had dropped them")]
    Missing {
        /// How many bytes are missing.
        bytes: u64,
        /// What there is.
        output: Box<Output>,
    },
}
