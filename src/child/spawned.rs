//! `Spawned`: what a spawn made, to be undone if its caller gives up.

/// A spawned child or pipeline that can be undone.
pub(crate) trait Spawned: Unpin {
    /// Kills its children, with the groups that they lead.
    fn undo(&self);
}
