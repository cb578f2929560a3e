//! `Child`: the handle of one child. It signals the process and reads the sticky status.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use actix::WeakRecipient;
use nix::{errno::Errno, sys::signal::Signal};

use super::{Alarm, Spawned, alarm::after};
use crate::{
    ChildExited, ChildId, ChildStdin, PolicyStopped, Seq, SignalError, Source,
    cell::ChildCell,
    process::Process,
    process::Target,
    read_loop::{LoopCommand, Mailbox},
};

/// How often a group whose leader has ended is looked at: nothing tells its end.
const GROUP: Duration = Duration::from_millis(10);

/// A child process of a policy.
///
/// Clone it as you like. Dropping it does not affect the child: its waiter owns the child until it
/// is reaped, and the policy ends the child when the policy ends.
#[derive(Clone)]
pub struct Child {
    cell: Arc<ChildCell>,
    pub(super) alarms: WeakRecipient<Alarm>,
    pub(super) link: Arc<Mailbox>,
    process: Weak<Process>,
}

impl Spawned for Child {
    fn undo(&self) {
        self.signal_all(&[Signal::SIGKILL]);
    }
}

impl Child {
    pub(crate) fn new(
        cell: Arc<ChildCell>,
        alarms: WeakRecipient<Alarm>,
        link: Arc<Mailbox>,
        process: Weak<Process>,
    ) -> Self {
        Child { cell, alarms, link, process }
    }

    pub(crate) fn cell(&self) -> &Arc<ChildCell> {
        &self.cell
    }

    /// The child's identity, never reused.
    #[must_use]
    pub fn id(&self) -> ChildId {
        self.cell.id
    }

    /// Its process id. Never signal it by this number: [`Child::signal`] cannot hit a reused PID.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.cell.pid
    }

    /// The program as the command named it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.cell.program
    }

    /// Waits for the exit, from any number of callers, now or long after the exit: the status
    /// stays. Never waits for descendants that hold the child's pipes. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy stopped before it learned the child's status.
    pub async fn wait(&self) -> Result<ChildExited, PolicyStopped> {
        self.cell.wait().await
    }

    /// The exit, if the child has ended: as [`Child::wait`] returns it, but without waiting.
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<ChildExited, PolicyStopped>> {
        self.cell.exit()
    }

    /// The writer of its standard input, if that is [`Stdin::Piped`](crate::Stdin::Piped).
    #[must_use]
    pub fn stdin(&self) -> Option<ChildStdin> {
        let queue = Arc::clone(self.cell.input.as_ref()?);
        Some(ChildStdin::new(self.id(), queue, Arc::clone(&self.link)))
    }

    /// Pauses the reading of one of the child's streams: the child blocks once the pipe is full.
    /// Bytes that were already read still arrive, and so does the exit, after the pipe's contents.
    /// A second pause has no effect. The exit ends the pause.
    pub fn pause(&self, stream: Source) {
        self.link.push(LoopCommand::Reading { child: self.id(), stream, paused: true });
    }

    /// Resumes a paused stream. No effect if the stream is not paused.
    pub fn resume(&self, stream: Source) {
        self.link.push(LoopCommand::Reading { child: self.id(), stream, paused: false });
    }

    /// Waits until every pipe of the child is at its end: it has exited and no descendant holds a
    /// pipe. Returns the sequence number of [`Fact::Closed`](crate::Fact::Closed) in the log.
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy stopped before that.
    pub async fn closed(&self) -> Result<Seq, PolicyStopped> {
        self.cell.closed.wait().await.clone().map_err(|reason| *reason)
    }

    /// Sends a signal to the child alone: a [`Signal`], or its number.
    ///
    /// ```
    /// # use actix_process::{Command, Policy, Signal};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let child = policy.spawn(Command::new("sleep").arg("100")).await?;
    /// child.signal(Signal::SIGTERM).await?;
    /// assert_eq!(child.wait().await?.status.signal(), Some(15));
    /// # policy.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SignalError::Ended`] if the child has ended, [`SignalError::Refused`] if the kernel
    /// refuses (for a child that changed its user, say) or the signal does not exist,
    /// [`SignalError::Stopped`] if the policy has stopped.
    pub async fn signal(&self, signal: impl TryInto<Signal>) -> Result<(), SignalError> {
        self.send(self.named(signal)?, Target::Child)
    }

    /// A number without a name in nix (a real-time signal, say) cannot be sent.
    fn named(&self, signal: impl TryInto<Signal>) -> Result<Signal, SignalError> {
        let unknown = |_| SignalError::Refused { child: self.id(), source: Errno::EINVAL.into() };
        signal.try_into().map_err(unknown)
    }

    /// Sends a signal to the process group that the child leads
    /// ([`ProcessGroup::Own`](crate::ProcessGroup::Own)), even after the child's exit, as long as
    /// the group has members (from Linux 6.9 on). A child that has left its group gets it too.
    ///
    /// # Errors
    ///
    /// As [`Child::signal`]: [`SignalError::Ended`] if the child and all members of the group have
    /// ended. Also [`SignalError::Refused`] if the child leads no group.
    pub async fn signal_group(&self, signal: impl TryInto<Signal>) -> Result<(), SignalError> {
        self.send(self.named(signal)?, Target::Group)
    }

    /// Asks the child to end, with `SIGTERM`.
    ///
    /// # Errors
    ///
    /// As [`Child::signal`].
    pub async fn terminate(&self) -> Result<(), SignalError> {
        self.signal(Signal::SIGTERM).await
    }

    /// Ends the child and the group that it leads: sends `SIGTERM` and `SIGCONT`, and `SIGKILL` to
    /// processes that are left after the grace. Returns the exit.
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy stopped before it learned the child's status.
    pub async fn stop(&self, grace: Duration) -> Result<ChildExited, PolicyStopped> {
        self.signal_all(&[Signal::SIGTERM, Signal::SIGCONT]);
        let ended = async {
            let exit = self.wait().await;
            while exit.is_ok() && self.has_group() {
                after(&self.alarms, GROUP).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = after(&self.alarms, grace) => self.signal_all(&[Signal::SIGKILL]),
        }
        self.wait().await
    }

    /// Whether the group that the child leads or led has a member that is alive.
    fn has_group(&self) -> bool {
        self.process.upgrade().is_some_and(|process| process.has_live_group())
    }

    fn signal_all(&self, signals: &[Signal]) {
        if let Some(process) = self.process.upgrade() {
            process.signal_all(signals);
        }
    }

    /// Kills the child with `SIGKILL`. Use [`wait`](Child::wait) to learn when it has ended.
    ///
    /// # Errors
    ///
    /// As [`Child::signal`].
    pub async fn kill(&self) -> Result<(), SignalError> {
        self.signal(Signal::SIGKILL).await
    }

    fn send(&self, signal: Signal, target: Target) -> Result<(), SignalError> {
        match (self.process.upgrade(), self.cell.exit()) {
            (Some(process), _) => process.signal(signal, target),
            (None, Some(Err(stopped))) => Err(stopped.into()),
            (None, _) => Err(SignalError::Ended(self.id())),
        }
    }
}

/// Shows the child's name, and never its input or output.
impl fmt::Debug for Child {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Child")
            .field("id", &self.id())
            .field("pid", &self.pid())
            .field("ended", &self.try_wait().is_some())
            .finish_non_exhaustive()
    }
}
