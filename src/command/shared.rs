//! `SharedOutput`: one pipe context that several children write to.

use std::{io, os::fd::OwnedFd, sync::Arc};

use actix::Message;

use crate::ChildId;

/// A context in the merged log that several children write to, by
/// [`OutputTo::Shared`](crate::OutputTo::Shared). The log keeps their writes in the kernel's exact
/// order, under the context's own id. A child's exit comes after its writes here.
///
/// A *plain* one ([`PolicyHandle::shared_output`](crate::PolicyHandle::shared_output)) is a pipe:
/// it is not known which child wrote what. A write of at most 4,096 bytes (`PIPE_BUF`) is never
/// torn by another one; longer ones can be.
///
/// An *attributed* one
/// ([`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output)) is a socket. Each
/// chunk names the process that really wrote it, even a descendant
/// ([`Chunk::writer`](crate::log::Chunk::writer)), and never has the bytes of two. A long write can
/// come in several chunks with others' between. Promise 6 needs this for untrusted children (see
/// the crate's page). The cost: a system call a chunk, and no program can open `/dev/stdout` by
/// name: that is a socket.
///
/// All children share the one open file: what one of them does to it, it does to all (`O_NONBLOCK`,
/// and `shutdown` of a socket).
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

    /// The id of its entries in the log.
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
    /// A socket that names the writing process:
    /// [`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output).
    Attributed,
}
