//! What the log holds: entries, and the facts that they state.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{ChildExited, ChildId, Seq, Source, types::Turn};

/// One entry of the merged log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its position in the one order of the log.
    pub seq: Seq,
    /// The turn of the read loop that found it. Entries of one turn are concurrent.
    pub turn: Turn,
    /// The child that the entry is about.
    pub child: ChildId,
    /// What was observed.
    pub fact: Fact,
}

/// What the read loop observed of a child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fact {
    /// The child was spawned; always its first fact.
    Spawned {
        /// The process id, for display only: it can be reused once the child has ended.
        pid: i32,
        /// The program as the command named it.
        program: Arc<str>,
    },
    /// The child wrote bytes.
    Chunk(Chunk),
    /// The child ended. Comes after every byte that the child itself wrote.
    Exited(ChildExited),
    /// All of the child's pipes are at their end: no descendant holds one. Comes after `Exited`.
    Closed,
}

/// Bytes read from one pipe at one time.
#[derive(Clone)]
#[non_exhaustive]
pub struct Chunk {
    /// The stream that the bytes came through.
    pub stream: Source,
    /// The bytes: a shared slice, which costs nothing to clone.
    pub bytes: Bytes,
    /// Whether they came after the child's exit, from a descendant that still holds the pipe.
    pub after_exit: bool,
    /// The process that wrote them, if known
    /// ([`PolicyHandle::attributed_output`](crate::PolicyHandle::attributed_output)); for display
    /// only.
    pub writer: Option<i32>,
}

/// Shows the length and never the bytes, which may be secret.
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
