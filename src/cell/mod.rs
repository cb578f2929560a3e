//! What threads share of one child: its sticky status, and the bytes to write to it.

mod child_cell;
mod input_queue;

pub(crate) use child_cell::ChildCell;
pub(crate) use input_queue::{InputQueue, Step};
