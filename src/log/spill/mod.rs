//! Spilling: what a slow reader still wants goes to files, and comes back.

mod directory;
mod replay;
mod spill_file;
mod spiller;
mod store;

pub use replay::replay_spilled;
pub(crate) use spill_file::{SpillFile, SpillRef};
pub(crate) use spiller::Spiller;
pub use store::SpillError;
#[cfg(test)]
pub(crate) use store::Store;
