//! `Exit` and `ChildExited`: how a child ended, and its place in the log.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use super::{ChildId, ExitStatus, ResourceUsage, Seq};

/// The exit of a child: what [`ChildExited`] carries.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exit {
    /// The child.
    pub child: ChildId,
    /// Its process id, for display only: it is free for reuse now.
    pub pid: i32,
    /// The program as the command named it.
    pub program: Arc<str>,
    /// How the child ended.
    pub status: ExitStatus,
    /// What the child used.
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

/// A child has ended. Each matching subscriber gets this once, after everything that the child
/// itself wrote has its place in the log, and without waiting for descendants that hold its pipes.
///
/// asyncio's `process_exited()` promises neither: it may come before the last
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
