//! What to run: the vocabulary that the spawn path reads.

mod program;
mod shared;
mod stdio;

pub(crate) use program::EnvChange;
pub use program::{Command, ProcessGroup};
pub use shared::{ShareOutput, SharedOutput};
pub(crate) use stdio::Extra;
pub use stdio::{ErrorOutput, Output, Stdin};
