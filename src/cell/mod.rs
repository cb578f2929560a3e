//! What threads share of one child: its sticky status, and what is to be written to it.

mod child_cell;
mod input_queue;

pub(crate) use child_cell::ChildCell;
pub(crate) use input_queue::{InputQueue, Step};
