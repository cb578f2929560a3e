//! `Spawned`: what a spawn that was given up leaves to be undone.

/// What was spawned, and can be undone.
pub(crate) trait Spawned: Unpin {
    /// Kills it, with the groups that it leads.
    fn undo(&self);
}
