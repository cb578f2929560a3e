//! Waiting: one waiter for each child, which owns it until it is reaped. Only an awake read loop
//! may take the last step for the waiter, at the child's end.

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
