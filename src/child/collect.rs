//! `Child::output`: all output of one child as bytes. The log collects later entries; earlier ones
//! are read here, in steps, and both are joined here.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{Child, OutputError};
use crate::{
    ChildExited, ChildId, PolicyStopped,
    log::{Collected, CollectorId, Stretch},
    read_loop::Mailbox,
};

/// Everything that one child wrote to its standard streams until its exit.
#[derive(Clone)]
#[non_exhaustive]
pub struct Output {
    /// Its exit.
    pub exit: ChildExited,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Bytes that the log had already dropped when the collecting began.
    pub missing: u64,
}

/// Shows the number of bytes and never the bytes, which may be secret.
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
    /// The standard output as text; bytes that are not UTF-8 are replaced by U+FFFD. For both
    /// streams in one, in the order of the child's own writes, see
    /// [`ErrorTo::WithStdout`](crate::ErrorTo::WithStdout).
    #[doc(alias = "combined")]
    #[must_use]
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// The standard error as text; bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

impl Child {
    /// Waits for the exit and returns all output before it, joined in memory. Call it early: output
    /// that the log has already dropped or spilled is missing.
    /// [`PolicyHandle::output`](crate::PolicyHandle::output) runs a command and misses nothing.
    ///
    /// # Errors
    ///
    /// [`OutputError::Missing`] if bytes are missing, with the rest of the output;
    /// [`OutputError::Stopped`] if the policy ended before the child's status was known.
    pub async fn output(&self) -> Result<Output, OutputError> {
        whole(self.output_lossy().await?)
    }

    /// As [`output`](Child::output), but missing bytes are no error. Output that the log has
    /// dropped or spilled by now, and all output before it, is only counted, in
    /// [`missing`](Output::missing).
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy ended before the child's status was known.
    pub async fn output_lossy(&self) -> Result<Output, PolicyStopped> {
        let (collecting, collected) = Collecting::start(self);
        collecting.finish(self, collected).await
    }
}

/// Makes an output with missing bytes an error.
pub(crate) fn whole(output: Output) -> Result<Output, OutputError> {
    match output.missing {
        0 => Ok(output),
        bytes => Err(OutputError::Missing { bytes, output: Box::new(output) }),
    }
}

/// A collector of the log, which ends when this is dropped.
pub(crate) struct Collecting {
    link: Arc<Mailbox>,
    child: ChildId,
    id: CollectorId,
}

impl Collecting {
    /// Starts to collect before the child exists.
    pub(crate) fn ahead(link: Arc<Mailbox>, child: ChildId) -> Self {
        let (id, _) = link.log().collect(child, None);
        Collecting { link, child, id }
    }

    /// Waits for the exit, and joins all output.
    pub(crate) async fn finish(
        self,
        child: &Child,
        mut collected: Collected,
    ) -> Result<Output, PolicyStopped> {
        let exit = child.wait().await?;
        // The status is settled after the log has the exit, so no more output comes.
        if let Some(later) = self.take() {
            collected.append(later);
        }
        let missing = exit.output_bytes.saturating_sub(collected.bytes);
        let (stdout, stderr) = collected.join(tokio::task::yield_now).await;
        Ok(Output { exit, stdout, stderr, missing })
    }

    /// Starts to collect, and returns the child's earlier output in the log.
    fn start(child: &Child) -> (Self, Collected) {
        let link = Arc::clone(&child.link);
        let mut log = link.log();
        // If the spawn is not in the log yet, neither is any output.
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
                    // Output before a hole is dropped too, and counts as missing.
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
        // Dropped after the log is unlocked.
        let collected = self.link.log().take_collected(self.child, self.id);
        drop(collected);
    }
}
