//! What a waiter knows of an exit.

use std::time::Duration;

use super::{ChildId, ExitStatus, ResourceUsage};

/// The record of an exit. Its slot keeps it; the status pipe only tells that it is there, since a
/// descendant of the child's may read what is in a pipe of ours, or write into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitRecord {
    pub(crate) child: ChildId,
    pub(crate) status: ExitStatus,
    pub(crate) usage: ResourceUsage,
    pub(crate) wall_time: Duration,
}
