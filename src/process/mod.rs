//! One operating-system process: its pidfd, its reaping, its signals. Knows no loop.

mod hosted;
mod owned;
mod target;

pub(crate) use hosted::HostedWatcher;
pub(crate) use owned::{Ownership, PollSoon, Process};
pub use target::Target;
