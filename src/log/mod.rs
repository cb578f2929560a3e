//! The merged log: every chunk and every lifecycle fact of every child, in one order.

mod batch;
mod child_lines;
mod cursors;
mod entry;
mod gap;
mod gather;
mod lines;
mod merged;
mod newlines;
mod overflow;
mod pieces;
mod reader;
mod registration;
mod shares;
mod slab;
mod spilling;
mod totals;
mod trace_lines;

pub use batch::Batch;
pub use child_lines::{ChildLine, ChildLines};
pub use cursors::Start;
pub use entry::{ChildExited, Chunk, Entry, Exit, Fact, Stream};
pub use gap::Gap;
pub use lines::{Line, LineEnd, Lines};
pub use overflow::Overflow;
pub use reader::LogReader;
pub use registration::RegistrationOrder;

pub(crate) use batch::TurnEntries;
pub(crate) use cursors::CursorId;
pub(crate) use gap::Concerned;
pub(crate) use gather::Gather;
pub(crate) use merged::MergedLog;
pub(crate) use overflow::LogShare;
pub(crate) use slab::{SLAB_LEN, Slab, SlabPool};
pub(crate) use spilling::{SpillWork, SpillWrite};
