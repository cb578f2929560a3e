//! `Pipeline`: commands, each of which reads what the command before it writes.

use super::{Command, OutputTo, Stdin};

/// Commands in a row, as a shell's `first | second | third`. Between two of them is a pipe of the
/// kernel's own, whose bytes go neither through this program nor into the log. Made by
/// [`Command::pipe_to`], spawned by
/// [`PolicyHandle::spawn_pipeline`](crate::PolicyHandle::spawn_pipeline).
///
/// The first command chooses its standard input, and the last one its standard output. Each chooses
/// its standard error: by default the log, and with
/// [`ErrorTo::WithStdout`](crate::ErrorTo::WithStdout) the pipe to the next one (`|&`).
#[derive(Clone, Debug)]
#[must_use]
pub struct Pipeline {
    pub(crate) earlier: Vec<Command>,
    pub(crate) last: Command,
}

impl Pipeline {
    /// Adds a command that reads the last one's standard output: see [`Command::pipe_to`].
    pub fn pipe_to(mut self, next: Command) -> Self {
        // The spawn replaces these by the inner pipes.
        self.earlier.push(self.last.stdout(OutputTo::Null));
        self.last = next.stdin(Stdin::Null);
        self
    }

    pub(crate) fn first(&self) -> &Command {
        self.earlier.first().unwrap_or(&self.last)
    }
}

impl Command {
    /// A pipeline in which `next` reads this command's standard output. The pipeline overrides what
    /// the two commands say of these two streams.
    ///
    /// ```
    /// use actix_process::{Command, Policy};
    ///
    /// # actix::System::new().block_on(async {
    /// let policy = Policy::start()?;
    /// let pipeline = Command::shell("echo b; echo a; echo b")
    ///     .pipe_to(Command::new("sort"))
    ///     .pipe_to(Command::new("uniq").arg("-c"));
    /// let running = policy.spawn_pipeline(pipeline).await?;
    /// let counted = String::from_utf8(running.last().output().await?.stdout)?;
    /// assert_eq!(counted.split_whitespace().collect::<Vec<_>>(), ["1", "a", "2", "b"]);
    /// # policy.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn pipe_to(self, next: Command) -> Pipeline {
        Pipeline { earlier: Vec::new(), last: self }.pipe_to(next)
    }
}
