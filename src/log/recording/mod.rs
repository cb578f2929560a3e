//! Recordings of the log: what the read loop observed, written down and fed back.

mod format;
mod replay;

pub use super::spill::{SpillError, replay_spilled};
pub(crate) use format::{MAGIC, encode_turn};
pub use replay::{Replay, ReplayError};
