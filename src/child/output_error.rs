//! `OutputError`: why there is no output, or only a part of it.

use super::Output;
use crate::{PolicyStopped, SpawnError};

/// A child's output is unavailable, or incomplete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The child could not be spawned.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The policy ended before the child's status was known.
    #[error(transparent)]
    Stopped(#[from] PolicyStopped),
    /// The log had dropped a part of it before the collecting began.
    #[error("{bytes} bytes of the output are missing: the log had dropped them")]
    Missing {
        /// How many bytes are missing.
        bytes: u64,
        /// The part that is available.
        output: Box<Output>,
    },
}
