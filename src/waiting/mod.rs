//! Waiting: one waiter for each child, which owns it until it is reaped. Only the read loop, where it
//! is awake at the child's end, may take the last step for it.

mod hosted;
mod messages;
mod record;
mod slot;
mod table;
mod waiter;
mod watcher;

pub(crate) use hosted::HostedWatcher;
pub(crate) use messages::{Adopt, Released};
pub use messages::{Signal, Target};
pub(crate) use record::ExitRecord;
pub(crate) use slot::ChildSlot;
pub(crate) use table::{Adoption, Inbox, WaiterTable};
pub(crate) use watcher::Watcher;
