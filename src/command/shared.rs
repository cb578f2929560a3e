//! `SharedOutput`: one pipe context that several children write to.

use std::{io, os::fd::OwnedFd, sync::Arc};

use actix::Message;

use crate::ChildId;

/// A pipe into the merged log that several children write to, made by
/// [`PolicyHandle::shared_output`](crate::PolicyHandle::shared_output) and given to each by
/// [`Output::Shared`](crate::Output::Shared).
///
/// Their writes come in the kernel's own order, which is exact, and under the context's own id:
/// which child wrote what is not known. A write of at most 4,096 bytes (`PIPE_BUF`) is never torn by
/// another one; longer ones can be. The exit of a child comes after all that it wrote here.
///
/// [`Fact::Closed`](crate::Fact::Closed) of the context comes when every child has let go of it and
/// the last copy of this handle is dropped.
#[derive(Clone, Debug)]
pub struct SharedOutput {
    id: ChildId,
    writer: Arc<OwnedFd>,
}

impl SharedOutput {
    pub(crate) fn new(id: ChildId, writer: OwnedFd) -> Self {
        SharedOutput { id, writer: Arc::new(writer) }
    }

    /// The id under which its entries are in the log.
    #[must_use]
    pub fn id(&self) -> ChildId {
        self.id
    }

    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        self.writer.try_clone()
    }
}

impl PartialEq for SharedOutput {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for SharedOutput {}

/// Asks the policy for a [`SharedOutput`].
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "io::Result<SharedOutput>")]
pub struct ShareOutput;
