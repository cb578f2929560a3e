//! The user's view of one child: its handle, its sticky status, its collected output.

mod collect;
mod decode;
mod handle;
mod lines;
mod running_pipeline;
mod stdin;
mod terminal;

pub use collect::CollectedOutput;
pub use decode::DecodeError;
pub use handle::Child;
pub use lines::WaitForLineError;
pub use running_pipeline::RunningPipeline;
pub use stdin::ChildStdin;
