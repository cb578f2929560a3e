//! `Source`: which of its outputs a child wrote to.

/// One of a child's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// Standard output (and standard error, if the command sends both to one pipe).
    Stdout,
    /// Standard error.
    Stderr,
    /// The extra descriptor that has this number in the child
    /// ([`Command::log_descriptor`](crate::Command::log_descriptor)).
    Extra(i32),
}
