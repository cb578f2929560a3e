//! `Child::output`: all output of one child as bytes. The log keeps collecting what is to come; what
//! it has of the child already is read here, in steps, and put together here.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{Child, OutputError};
use crate::{
    ChildExited, ChildId, PolicyStopped,
    log::{Collected, CollectorId, Stretch},
    read_loop::Mailbox,
};

/// All that one child wrote to its standard streams until its exit.
#[derive(Clone)]
#[non_exhaustive]
pub struct Output {
    /// Its exit.
    pub exit: ChildExited,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Bytes that the log had already dropped when the output was asked for.
    pub missing: u64,
}

/// How many bytes there are, never which: they may be secret.
impl fmt::Debug for Output {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Output")
            .field("exit", &self.exit)
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .field("missing", &self.missing)
            .finish()
    }
}

impl Output {
    /// The standard output as text; what is not UTF-8 is replaced by U+FFFD. For both streams in
    /// one, in the order of the child's own writes, see
    /// [`ErrorTo::WithStdout`](crate::ErrorTo::WithStdout).
    #[doc(alias = "combined")]
    #[must_use]
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// The standard error as text; what is not UTF-8 is replaced by U+FFFD.
    #[must_use]
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

impl Child {
    /// Waits for the exit and returns all that the child wrote before it, put together in memory.
    /// Call it early: what the log has dropped by then, or has given to files, cannot be had.
    /// [`PolicyHandle::output`](crate::PolicyHandle::output) runs a command and misses nothing.
    ///
    /// # Errors
    ///
    /// [`OutputError::Missing`] if bytes are missing, with what there is;
    /// [`OutputError::Stopped`] if the policy ended before the child's status was known.
    pub async fn output(&self) -> Result<Output, OutputError> {
        whole(self.output_lossy().await?)
    }

    /// The same, also if bytes are missing: of what the log had dropped or given to files by now,
    /// and of what came before that, only the number of bytes is known
    /// ([`missing`](Output::missing)).
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy ended before the child's status was known.
    pub async fn output_lossy(&self) -> Result<Output, PolicyStopped> {
        let (collecting, collected) = Collecting::start(self);
        collecting.finish(self, collected).await
    }
}

/// An output with missing bytes is an error.
pub(crate) fn whole(output: Output) -> Result<Output, OutputError> {
    match output.missing {
        0 => Ok(output),
        bytes => Err(OutputError::Missing { bytes, output: Box::new(output) }),
    }
}

/// A collector of the log; it goes with this.
pub(crate) struct Collecting {
    link: Arc<Mailbox>,
    child: ChildId,
    id: CollectorId,
}

impl Collecting {
    /// Starts to collect before the child is there.
    pub(crate) fn ahead(link: Arc<Mailbox>, child: ChildId) -> Self {
        let (id, _) = link.log().collect(child, None);
        Collecting { link, child, id }
    }

    /// Waits for the exit, and puts all together.
    pub(crate) async fn finish(
        self,
        child: &Child,
        mut collected: Collected,
    ) -> Result<Output, PolicyStopped> {
        let exit = child.wait().await?;
        // The status is settled when the log has the exit, so nothing is to come.
        if let Some(later) = self.take() {
            collected.append(later);
        }
        let missing = exit.output_bytes.saturating_sub(collected.bytes);
        let (stdout, stderr) = collected.join(tokio::task::yield_now).await;
        Ok(Output { exit, stdout, stderr, missing })
    }

    /// Starts to collect, and gives what the log has of the child.
    fn start(child: &Child) -> (Self, Collected) {
        let link = Arc::clone(&child.link);
        let mut log = link.log();
        // Where the spawn has no place yet, everything is to come.
        let spawned = child.cell().spawned.get();
        let (id, end) = log.collect(child.id(), spawned);
        drop(log);
        let collecting = Collecting { link, child: child.id(), id };
        let mut history = Collected::default();
        let mut next = spawned.unwrap_or(end);
        while next < end {
            let stretches = {
                let mut log = collecting.link.log();
                let stretches = log.stretches_from(collecting.child, &mut next, end);
                log.history_read(id, next);
                stretches
            };
            for stretch in stretches {
                match stretch {
                    Stretch::Turn(turn) => {
                        let its = |entry: &&_| is_its(entry, child.id(), end);
                        turn.iter().filter(its).for_each(|entry| history.take(entry));
                    }
                    // What is before a hole is only counted, too.
                    Stretch::Hole(_) => history = Collected::default(),
                }
            }
            collecting.link.shared_log().give_way();
        }
        collecting.link.log().unpin(id);
        collecting.link.shared_log().room_changed();
        (collecting, history)
    }

    fn take(self) -> Option<Collected> {
        self.link.log().take_collected(self.child, self.id)
    }
}

fn is_its(entry: &crate::Entry, child: ChildId, end: crate::Seq) -> bool {
    entry.child == child && entry.seq < end
}

impl Drop for Collecting {
    fn drop(&mut self) {
        // What it holds goes when the log is no longer locked.
        let collected = self.link.log().take_collected(self.child, self.id);
        drop(collected);
    }
}
