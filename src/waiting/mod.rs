//! Waiting: one waiter for each child, the only owner of it until it is reaped.

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
