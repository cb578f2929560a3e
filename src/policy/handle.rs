//! `PolicyHandle`: methods that send the policy's messages.

use std::{io, sync::Arc, time::Duration};

use actix::Addr;

use super::{Policy, thread::PolicyThread};
use crate::{
    Child, ChildId, Command, Driver, Output, Pipeline, PolicyStopped, RunningPipeline, ShareOutput,
    SharedOutput, Shutdown, Spawn, SpawnError, SpawnPipeline, SpawnStep, Subscribe, SubscriptionId,
    Unsubscribe,
    child::{Collecting, OutputError, whole},
    log::Collected,
    log::{LogReader, Start},
    read_loop::Mailbox,
    spawn::{self, RequestPipeline, RequestSpawn},
};

/// A handle of a running policy. When the last handle (and the last `Addr<Policy>`) is dropped, the
/// policy shuts down in the background, with the builder's grace.
///
/// It can be cloned and used on any thread and any executor.
///
/// ```
/// use actix_process::{Command, Policy};
///
/// # actix::System::new().block_on(async {
/// let policy = Policy::start()?;
/// let other = policy.clone();
/// let child = actix::spawn(async move { other.spawn(Command::new("true")).await }).await??;
/// assert!(child.wait().await?.status.success());
/// policy.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    pub(super) policy: Addr<Policy>,
    pub(super) link: Arc<Mailbox>,
    pub(super) host: Arc<PolicyThread>,
    pub(super) driver: Driver,
}

impl PolicyHandle {
    /// The actor's address, for sending messages yourself.
    #[must_use]
    pub fn addr(&self) -> &Addr<Policy> {
        &self.policy
    }

    /// The driver that read the pipes when the policy started. If a ring fails later, the sweeping
    /// driver takes over its pipes.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Spawns a child, and returns when its program runs. Dropping the call before it returns gives
    /// the child up, as a cancelled call in asyncio does: a child that was spawned is killed with
    /// the group that it leads, and its exit is in the log.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], with the program, the step and the operating system's error.
    pub async fn spawn(&self, spawn: impl Into<Spawn>) -> Result<Child, SpawnError> {
        let spawn = spawn.into();
        let program = program(&spawn.command);
        let (reply, answer) = spawn::answer();
        self.policy.do_send(RequestSpawn(spawn, reply));
        answer.await.unwrap_or_else(|| Err(self.refused(program)))
    }

    /// Runs a command to its end and returns all its output: none is missing, however small the log
    /// is. To reach the child meanwhile, spawn it and call [`Child::output`].
    ///
    /// ```
    /// # use actix_process::{Command, Policy};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let output = policy.output(Command::new("echo").arg("hello")).await?;
    /// assert!(output.exit.status.success());
    /// assert_eq!(output.stdout_text(), "hello\n");
    /// # policy.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`OutputError::Spawn`] if it cannot be spawned, and the errors of [`Child::output`].
    #[doc(alias = "capture")]
    pub async fn output(&self, spawn: impl Into<Spawn>) -> Result<Output, OutputError> {
        let mut spawn = spawn.into();
        let id = *spawn.id.get_or_insert_with(ChildId::fresh);
        let collecting = Collecting::ahead(Arc::clone(&self.link), id);
        let child = self.spawn(spawn).await?;
        whole(collecting.finish(&child, Collected::default()).await?)
    }

    /// Spawns all children of a pipeline, or none, and returns when every program runs. Dropping
    /// the call before it returns undoes the spawn, as in [`spawn`](PolicyHandle::spawn).
    ///
    /// # Errors
    ///
    /// [`SpawnError`], with the program that failed. Children that already ran are killed and
    /// reaped, with the process groups that they lead, and are never in the log.
    pub async fn spawn_pipeline(&self, pipeline: Pipeline) -> Result<RunningPipeline, SpawnError> {
        let program = program(pipeline.first());
        let (reply, answer) = spawn::answer();
        self.policy.do_send(RequestPipeline(SpawnPipeline(pipeline), reply));
        answer.await.unwrap_or_else(|| Err(self.refused(program)))
    }

    /// Makes a pipe into the merged log that several children write to.
    ///
    /// # Errors
    ///
    /// An error if no pipe can be made (`EMFILE`), or the policy has stopped.
    pub async fn shared_output(&self) -> io::Result<SharedOutput> {
        self.share(ShareOutput::Plain).await
    }

    /// Makes a socket into the merged log that several children write to, and whose chunks name the
    /// process that wrote them.
    ///
    /// # Errors
    ///
    /// As [`shared_output`](PolicyHandle::shared_output).
    pub async fn attributed_output(&self) -> io::Result<SharedOutput> {
        self.share(ShareOutput::Attributed).await
    }

    async fn share(&self, kind: ShareOutput) -> io::Result<SharedOutput> {
        let sent = self.policy.send(kind).await;
        sent.unwrap_or_else(|_| Err(io::Error::other(self.reason())))
    }

    /// Subscribes an actor.
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy has stopped.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<SubscriptionId, PolicyStopped> {
        self.policy.send(subscribe).await.unwrap_or_else(|_| Err(self.reason()))
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, subscription: SubscriptionId) {
        // A stopped policy has no subscriptions.
        let _ = self.policy.send(Unsubscribe(subscription)).await;
    }

    /// Reads the merged log from this place on. The reader loses nothing: reading pauses if it is a
    /// whole log behind, unless it is [`lossy`](LogReader::lossy).
    #[must_use]
    pub fn log(&self, start: Start) -> LogReader {
        LogReader::open(Arc::clone(self.link.shared_log()), start)
    }

    /// Shuts the policy down, and returns when none of its children, descriptors and threads is
    /// left: sends `SIGTERM` at once to every child (and to the group of each that leads or led
    /// one), `SIGKILL` to the rest after the grace, and delivers all output and exits. It ends as
    /// soon as nothing is left. Spawns under way are refused; a child that hangs in its exec is
    /// killed. Call it again with a shorter grace to shorten the wait.
    ///
    /// A process that cannot be killed (in an uninterruptible sleep, or run as another user by a
    /// set-id program) is left behind after 5 more seconds, with a warning.
    pub async fn shutdown(&self, grace: Duration) {
        // If the send fails, the policy has stopped or is about to stop.
        let _ = self.policy.send(Shutdown { grace }).await;
        self.stopped().await;
    }

    /// Waits until the policy has stopped, and returns the reason.
    pub async fn stopped(&self) -> PolicyStopped {
        self.host.stopped().await
    }

    fn refused(&self, program: String) -> SpawnError {
        let source = io::Error::other(self.reason());
        SpawnError { program, step: SpawnStep::Intake, source }
    }

    fn reason(&self) -> PolicyStopped {
        self.host.reason().unwrap_or(PolicyStopped::Shutdown)
    }
}

fn program(command: &Command) -> String {
    command.program.to_string_lossy().into_owned()
}

impl Command {
    /// Spawns it with this policy: see [`PolicyHandle::spawn`].
    ///
    /// # Errors
    ///
    /// As [`PolicyHandle::spawn`].
    pub async fn spawn(self, policy: &PolicyHandle) -> Result<Child, SpawnError> {
        policy.spawn(self).await
    }

    /// Runs it to its end with this policy: see [`PolicyHandle::output`].
    ///
    /// # Errors
    ///
    /// As [`PolicyHandle::output`].
    pub async fn output(self, policy: &PolicyHandle) -> Result<Output, OutputError> {
        policy.output(self).await
    }
}
