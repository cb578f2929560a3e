//! Waiting for a line of a child.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use regex::bytes::Regex;

use super::{Child, alarm::after};
use crate::log::{ChildLine, Line};

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
        tokio::select! {
            biased;
            found = self.find_line(&regex) => {
                found.ok_or_else(|| WaitForLineError::Ended(pattern.to_owned()))
            }
            () = after(&self.alarms, deadline) => Err(WaitForLineError::Deadline(pattern.to_owned())),
        }
    }

    async fn find_line(&self, regex: &Regex) -> Option<ChildLine> {
        let mut lines = pin!(self.lines());
        while let Some(line) = lines.next().await {
            if regex.is_match(&line.line.bytes) {
                // A copy, since a slice would keep the whole chunk in memory.
                let bytes = Bytes::copy_from_slice(&line.line.bytes);
                return Some(ChildLine { line: Line { bytes, ..line.line }, ..line });
            }
        }
        None
    }
}
