//! A child's terminal: its size, and its hang-up.

use tokio::sync::oneshot;

use super::Child;
use crate::{
    PolicyStopped,
    read_loop::{LoopCommand, TerminalAction},
    types::TerminalError,
};

impl Child {
    /// Sets the size of the child's terminal, in characters. If the size changes, the kernel sends
    /// `SIGWINCH` to the terminal's foreground processes.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use actix_process::{Command, Policy, Terminal};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let shell = Command::shell("read line; stty size").terminal(Terminal::default());
    /// let child = policy.spawn(shell).await?;
    /// child.resize(50, 132).await?;
    /// child.stdin().expect("a keyboard").write("go on\n")?;
    /// child.wait_for_line("50 132", Duration::from_secs(10)).await?;
    /// # policy.shutdown(Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`TerminalError`] if the child has no terminal, it is closed, or the policy has stopped.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), TerminalError> {
        self.act(TerminalAction::Resize { rows, columns }).await
    }

    /// Hangs up the child's terminal, as closing a terminal window does: the session gets `SIGHUP`,
    /// and a process that then reads from the terminal or writes to it gets an error. Earlier
    /// output goes into the log first.
    ///
    /// # Errors
    ///
    /// As [`resize`](Child::resize).
    pub async fn hang_up(&self) -> Result<(), TerminalError> {
        self.act(TerminalAction::HangUp).await
    }

    async fn act(&self, action: TerminalAction) -> Result<(), TerminalError> {
        let (reply, done) = oneshot::channel();
        self.link.push(LoopCommand::Terminal(self.id(), action, reply));
        done.await.unwrap_or(Err(TerminalError::Stopped(PolicyStopped::Shutdown)))
    }
}
