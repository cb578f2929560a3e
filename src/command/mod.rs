//! What to run: the vocabulary that the spawn path reads.

mod pipeline;
mod program;
mod shared;
mod stdio;
mod terminal;

pub use pipeline::Pipeline;
pub(crate) use program::EnvChange;
pub use program::{Command, ProcessGroup};
pub use shared::{ShareOutput, SharedOutput};
pub(crate) use stdio::Extra;
pub use stdio::{ErrorTo, OutputTo, Stdin};
pub use terminal::Terminal;
