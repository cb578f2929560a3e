//! The user's view of one child: its handle, its sticky status, its collected output.

mod cell;
mod collect;
mod decode;
mod handle;
mod lines;
mod running_pipeline;
mod terminal;

pub(crate) use cell::ChildCell;
pub use collect::CollectedOutput;
pub use decode::DecodeError;
pub use handle::Child;
pub use lines::WaitForLineError;
pub use running_pipeline::RunningPipeline;
