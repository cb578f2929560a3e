//! What the log holds: entries, and the facts that they state.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{ChildExited, ChildId, Seq, Source, types::Turn};

/// One entry of the merged log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its place in the one order.
    pub seq: Seq,
    /// The turn of the read loop that found it; entries of one turn are concurrent.
    pub turn: Turn,
    /// The child that it is about.
    pub child: ChildId,
    /// What was observed.
    pub fact: Fact,
}

/// What the read loop observed of a child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fact {
    /// It was spawned; its first fact.
    Spawned {
        /// The process id, for display only: it can be reused once the child has ended.
        pid: i32,
        /// The program as the command named it.
        program: Arc<str>,
    },
    /// It wrote bytes.
    Chunk(Chunk),
    /// It ended; after every byte that the child itself wrote.
    Exited(ChildExited),
    /// Every pipe of it is at its end: no descendant holds one any more. After `Exited`.
    Closed,
}

/// Bytes read from one pipe at one time.
#[derive(Clone)]
#[non_exhaustive]
pub struct Chunk {
    /// The stream that they came through.
    pub stream: Source,
    /// The bytes: a shared slice, which costs nothing to clone.
    pub bytes: Bytes,
    /// Whether they came after the child's exit, from a descendant that holds the pipe.
    pub after_exit: bool,
    /// The process that wrote them, where the context tells
    /// ([`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output)); for display
    /// only.
    pub writer: Option<i32>,
}

/// How long it is, never what it says: that may be secret.
impl fmt::Debug for Chunk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Chunk")
            .field("stream", &self.stream)
            .field("bytes", &self.bytes.len())
            .field("after_exit", &self.after_exit)
            .field("writer", &self.writer)
            .finish()
    }
}
