//! What to run: the vocabulary that the spawn path reads.

mod program;
mod stdio;

pub(crate) use program::EnvChange;
pub use program::{Command, ProcessGroup};
pub(crate) use stdio::Extra;
pub use stdio::{ErrorOutput, Output, Stdin};
