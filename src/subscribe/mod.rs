//! The messages of subscribing, and those that subscribers receive.

mod credit;
mod lifecycle;
mod messages;

pub(crate) use credit::Credits;
pub use credit::OutputBatch;
pub use lifecycle::Lifecycle;
pub(crate) use messages::Interest;
pub use messages::{Subscribe, Unsubscribe};
