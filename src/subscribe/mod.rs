//! The messages that make and end subscriptions, and those that subscribers receive.

mod credit;
mod lifecycle;
mod messages;
mod output_batch;
mod pace;

pub(crate) use credit::{Credits, host_arbiter};
pub use lifecycle::Lifecycle;
pub(crate) use messages::Interest;
pub use messages::{Subscribe, Unsubscribe};
pub use output_batch::OutputBatch;
