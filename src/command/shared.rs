//! `SharedOutput`: one pipe context that several children write to.

use std::{io, os::fd::OwnedFd, sync::Arc};

use actix::Message;

use crate::ChildId;

/// A context in the merged log that several children write to, given to each by
/// [`OutputTo::Shared`](crate::OutputTo::Shared). Their writes come in the kernel's own order, which is
/// exact, and under the context's own id. The exit of a child comes after all that it wrote here.
///
/// A *plain* one ([`PolicyHandle::shared_output`](crate::PolicyHandle::shared_output)) is a pipe:
/// which child wrote what is not known. A write of at most 4,096 bytes (`PIPE_BUF`) is never torn by
/// another one; longer ones can be.
///
/// An *attributed* one ([`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output))
/// is a socket whose chunks carry the process that really wrote them
/// ([`Chunk::writer`](crate::log::Chunk::writer)), descendants included, and never the bytes of two. A
/// long write can come in several chunks with others' between. It is also what promise 6 asks for
/// with children that are not trusted (see the crate's page). What it costs: each chunk is a system
/// call, and a program that opens `/dev/stdout` by its name cannot, since that is a socket.
///
/// All children have the one open file: what one of them does to that, it does to all
/// (`O_NONBLOCK`, and of a socket a `shutdown`).
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "io::Result<SharedOutput>")]
pub enum ShareOutput {
    /// A pipe: [`PolicyHandle::shared_output`](crate::PolicyHandle::shared_output).
    Plain,
    /// A socket that tells who wrote:
    /// [`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output).
    Attributed,
}
