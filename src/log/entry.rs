//! What the log holds: entries, and the facts that they state.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{ChildId, ExitStatus, ResourceUsage, Seq, Turn};

/// One of a child's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output (and standard error, where the command sends both down one pipe).
    Stdout,
    /// Standard error.
    Stderr,
    /// The extra descriptor that has this number in the child
    /// ([`Command::log_descriptor`](crate::Command::log_descriptor)).
    Extra(i32),
}

/// One entry of the merged log.
#[derive(Clone, Debug)]
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
pub struct Chunk {
    /// The stream that they came through.
    pub stream: Stream,
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

/// The exit of a child: what [`ChildExited`] carries.
#[derive(Debug)]
pub struct Exit {
    /// The child.
    pub child: ChildId,
    /// Its process id, for display only: it is free for reuse now.
    pub pid: i32,
    /// The program as the command named it.
    pub program: Arc<str>,
    /// How it ended.
    pub status: ExitStatus,
    /// What it used.
    pub usage: ResourceUsage,
    /// From just before the spawn to the reaping.
    pub wall_time: Duration,
    /// How many bytes of the child's output went into the log before the exit.
    pub output_bytes: u64,
    /// The child's last fact before the exit: every byte that the child itself wrote to its pipes
    /// has a sequence number of at most this.
    pub last_seq: Seq,
    /// The place of the exit itself in the log.
    pub seq: Seq,
}

/// A child has ended. Sent once to each matching subscriber, after everything that the child itself
/// wrote has its place in the log, and without waiting for descendants that hold its pipes.
///
/// asyncio's `process_exited()` promises neither half: it may come before the last
/// `pipe_data_received()`, and `connection_lost()` waits for every holder of the pipe.
///
/// Cheap to clone: all copies share one [`Exit`], whose fields it derefs to.
#[derive(Clone, Debug, actix::Message)]
#[rtype(result = "()")]
pub struct ChildExited(pub(crate) Arc<Exit>);

impl Deref for ChildExited {
    type Target = Exit;

    fn deref(&self) -> &Exit {
        &self.0
    }
}

impl From<Exit> for ChildExited {
    fn from(exit: Exit) -> Self {
        ChildExited(Arc::new(exit))
    }
}

impl fmt::Display for ChildExited {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (pid {}): {}", self.program, self.pid, self.status)
    }
}
