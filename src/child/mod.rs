//! The user's view of one child: its handle, its sticky status, its collected output.

mod alarm;
mod collect;
mod decode;
mod handle;
mod lines;
mod running_pipeline;
mod spawned;
mod stdin;
mod subscribing;
mod terminal;

pub(crate) use alarm::Alarm;
pub use collect::CollectedOutput;
pub use decode::DecodeError;
pub use handle::Child;
pub use lines::WaitForLineError;
pub use running_pipeline::RunningPipeline;
pub(crate) use spawned::Spawned;
pub use stdin::ChildStdin;
