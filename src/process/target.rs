//! `Target`: the process or its group.

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The child alone.
    Child,
    /// The process group that the child leads or led, and the child itself if it has left that.
    Group,
}
