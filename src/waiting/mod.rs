//! Waiting: one waiter for each child, which owns it until it is reaped. Only the read loop, if it
//! is awake at the child's end, may take the last step for it.

mod inbox;
mod messages;
mod table;
mod waiter;
mod watcher;

pub(crate) use inbox::{Adoption, Inbox};
pub(crate) use messages::Adopt;
pub use messages::SendSignal;
pub(crate) use table::WaiterTable;
pub(crate) use watcher::Watcher;
