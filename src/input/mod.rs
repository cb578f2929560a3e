//! A child's standard input as a pipe: the queue between its writers and the read loop.

mod queue;
mod stdin;

pub(crate) use queue::{InputQueue, Step};
pub use stdin::{ChildStdin, StdinError};
