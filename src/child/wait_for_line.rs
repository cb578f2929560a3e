//! Waiting for a line of a child.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use regex::bytes::Regex;

use super::{Child, alarm::after};
use crate::log::{ChildLine, ChildLines, Fact, Line, LogReader, Start};

/// Why no line was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitForLineError {
    /// The pattern is not a valid regular expression.
    #[error("`{pattern}` is no regular expression: {source}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The deadline passed.
    #[error("no line matched `{0}` before the deadline")]
    Deadline(String),
    /// The child has closed its streams, or the policy has stopped.
    #[error("the child's output ended and no line matched `{0}`")]
    Ended(String),
}

impl Child {
    /// Waits for a line of the child, of any stream, that matches a regular expression. Searches
    /// the lines that the log still holds, then new ones. The common use is a server's \"listening
    /// on\".
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use actix_process::{Command, Policy};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let server = policy.spawn(Command::shell("echo starting; echo port 4711; sleep 100")).await?;
    /// let found = server.wait_for_line("port ([0-9]+)", Duration::from_secs(10)).await?;
    /// assert_eq!(found.line.bytes, "port 4711");
    /// # policy.shutdown(Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`WaitForLineError`] if the pattern is invalid, the deadline passed, or the output ended.
    pub async fn wait_for_line(
        &self,
        pattern: &str,
        deadline: Duration,
    ) -> Result<ChildLine, WaitForLineError> {
        let regex = Regex::new(pattern).map_err(|source| WaitForLineError::Pattern {
            pattern: pattern.to_owned(),
            source: Box::new(source),
        })?;
        // Lossless: a child that writes a lot waits for this reader.
        let mut reader = LogReader::open(Arc::clone(self.link.shared_log()), Start::Beginning);
        tokio::select! {
            biased;
            found = self.find_line(&mut reader, &regex) => {
                found.ok_or_else(|| WaitForLineError::Ended(pattern.to_owned()))
            }
            () = after(&self.alarms, deadline) => Err(WaitForLineError::Deadline(pattern.to_owned())),
        }
    }

    async fn find_line(&self, reader: &mut LogReader, regex: &Regex) -> Option<ChildLine> {
        let mut lines = ChildLines::default();
        let mut found = None;
        while let Some(batch) = reader.next().await {
            if let Some(gap) = batch.gap()
                && gap.concerns(self.id())
            {
                // No line continues across a gap, and the child's end may be in the gap.
                lines = ChildLines::default();
                if matches!(self.cell().closed.get(), Some(Ok(closed)) if *closed <= gap.last) {
                    return None;
                }
            }
            for entry in batch.entries().filter(|entry| entry.child == self.id()) {
                lines.push(&entry.fact, |line| {
                    if found.is_none() && regex.is_match(&line.line.bytes) {
                        // A copy, since a slice would keep the whole chunk in memory.
                        let bytes = Bytes::copy_from_slice(&line.line.bytes);
                        found = Some(ChildLine { line: Line { bytes, ..line.line }, ..line });
                    }
                });
                if found.is_some() || matches!(entry.fact, Fact::Closed) {
                    return found;
                }
            }
        }
        None
    }
}
