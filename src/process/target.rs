//! `Target`: which processes a signal is sent to.

/// Which processes a signal is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The child alone.
    Child,
    /// The process group that the child leads or led, and the child too if it has left the group.
    Group,
}
