//! The user's view of one child: its handle, its sticky status, its output and its input.

mod alarm;
mod collect;
#[cfg(feature = "codec")]
mod decode;
mod handle;
mod lines;
mod output_error;
mod running_pipeline;
mod spawned;
mod stdin;
mod subscribing;
mod terminal;
#[cfg(feature = "regex")]
mod wait_for_line;

pub(crate) use alarm::Alarm;
pub use collect::Output;
pub(crate) use collect::{Collecting, whole};
#[cfg(feature = "codec")]
pub use decode::DecodeError;
pub use handle::Child;
pub use output_error::OutputError;
pub use running_pipeline::RunningPipeline;
pub(crate) use spawned::Spawned;
pub use stdin::ChildStdin;
#[cfg(feature = "regex")]
pub use wait_for_line::WaitForLineError;
