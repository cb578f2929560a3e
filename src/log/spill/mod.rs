//! Spilling: entries that a slow reader still needs are written to files, and read back later.

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
