//! The user's view of one child: its handle, its sticky status, its collected output.

mod cell;
mod collect;
mod handle;

pub(crate) use cell::ChildCell;
pub(crate) use collect::Collector;
pub use collect::CollectedOutput;
pub use handle::Child;
