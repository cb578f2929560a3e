//! Recordings of the log: writes what the read loop observed, and reads it back.

mod format;
mod replay;

pub use super::spill::{SpillError, replay_spilled};
pub(crate) use format::{MAGIC, encode_turn};
pub use replay::{Replay, ReplayError};
