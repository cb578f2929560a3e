//! The merged log: every chunk and every lifecycle fact of every child, in one order.

mod batch;
mod entry;
mod gather;
mod lines;
mod merged;
mod reader;
mod slab;

pub use batch::Batch;
pub use entry::{ChildExited, Chunk, Entry, Exit, Fact, Gap, Stream};
pub use lines::{Line, Lines};
pub use reader::LogReader;

pub(crate) use batch::TurnEntries;
pub(crate) use gather::Gather;
pub(crate) use merged::{CursorId, MergedLog, Start};
pub(crate) use slab::{SLAB_LEN, Slab, SlabPool};
