//! One operating-system process: its pidfd, its reaping, its signals. Knows no loop.

mod hosted;
mod owned;
mod target;

pub(crate) use hosted::HostedWatcher;
pub(crate) use owned::{ChildSlot, Nudge, Ownership};
pub use target::Target;
