//! `Part`: the supervised parts of the library.

use std::fmt;

/// A part of the library that is supervised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The `Policy` actor.
    Policy,
    /// The `Watcher` actor.
    Watcher,
    /// A `Waiter` actor.
    Waiter,
    /// The `StateManager`'s read loop.
    ReadLoop,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Part::Policy => "the policy",
            Part::Watcher => "the watcher",
            Part::Waiter => "a waiter",
            Part::ReadLoop => "the read loop",
        })
    }
}
