//! The merged log: every chunk and every lifecycle fact of every child, in one order.

mod batch;
mod blocks;
mod child_lines;
mod collecting;
mod cursors;
mod entry;
mod gap;
mod last_lines;
mod lines;
mod merged;
mod needs;
mod newlines;
mod quotas;
mod reader;
pub mod recording;
mod shared;
mod spans;
mod spawn_order;
pub(crate) mod spill;
mod spilling;
mod stretches;
mod totals;
mod trace_lines;

pub use batch::Batch;
pub use child_lines::{ChildLine, ChildLines};
pub use cursors::Start;
pub use entry::{Chunk, Entry, Fact};
pub use gap::Gap;
pub use lines::{Line, LineEnd, Lines};
pub use reader::LogReader;
pub use spawn_order::SpawnOrder;

pub(crate) use batch::TurnEntries;
pub(crate) use collecting::{Collected, CollectorId};
pub(crate) use cursors::{CursorId, Limit};
pub(crate) use gap::Concerned;
pub(crate) use last_lines::LastLines;
pub(crate) use merged::MergedLog;
pub(crate) use shared::{LockedLog, SharedLog};
pub(crate) use spilling::{SpillWork, SpillWrite};
pub(crate) use stretches::Stretch;

pub use crate::types::{Exit, Turn};
