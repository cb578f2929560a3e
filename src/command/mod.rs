//! What to run: the vocabulary that the spawn path reads.

mod command;
mod stdio;

pub use command::{Command, ProcessGroup};
pub(crate) use command::EnvChange;
pub use stdio::{ErrorOutput, Output, Stdin};
