//! What a waiter knows of an exit.

use std::time::Duration;

use super::{ChildId, ExitStatus, ResourceUsage};

/// The record of an exit. `Process` keeps it; the status pipe only says that it exists, since a
/// descendant of the child may read from our pipes, or write into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitRecord {
    pub(crate) child: ChildId,
    pub(crate) status: ExitStatus,
    pub(crate) usage: ResourceUsage,
    pub(crate) wall_time: Duration,
}
