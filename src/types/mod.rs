//! The words that every room uses: ids, exits, errors. Imports nothing of the crate.

mod error;
mod exit;
mod ids;
mod overflow;
mod part;
mod record;
mod source;
mod status;

pub use error::{
    PolicyStopped, SignalError, SpawnError, SpawnStep, StartError, StdinError, TerminalError,
    WatchError,
};
pub use exit::{ChildExited, Exit};
pub use ids::{ChildId, Seq, SubscriptionId, Turn};
pub use overflow::Overflow;
pub(crate) use overflow::Quota;
pub use part::Part;
pub(crate) use record::ExitRecord;
pub use source::Source;
pub use status::{ExitStatus, ResourceUsage};
