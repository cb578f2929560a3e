//! The merged log: every chunk and every lifecycle fact of every child, in one order.

mod batch;
mod child_lines;
mod entry;
mod gather;
mod lines;
mod merged;
mod reader;
mod registration;
mod slab;
mod totals;
mod trace_lines;

pub use batch::Batch;
pub use child_lines::{ChildLine, ChildLines};
pub use entry::{ChildExited, Chunk, Entry, Exit, Fact, Gap, Stream};
pub use lines::{Line, LineEnd, Lines};
pub use merged::{Overflow, Start};
pub use reader::LogReader;
pub use registration::RegistrationOrder;

pub(crate) use batch::TurnEntries;
pub(crate) use gather::Gather;
pub(crate) use merged::{CursorId, MergedLog};
pub(crate) use slab::{SLAB_LEN, Slab, SlabPool};
