//! `PolicyHandle`: thin sugar over the policy's messages.

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

/// A handle of a running policy. When the last one (and the last `Addr<Policy>`) is dropped, the
/// policy shuts down in the background, with the grace that it was built with.
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    pub(super) policy: Addr<Policy>,
    pub(super) link: Arc<Mailbox>,
    pub(super) host: Arc<PolicyThread>,
    pub(super) driver: Driver,
}

impl PolicyHandle {
    /// The actor's address, for sending its messages yourself.
    #[must_use]
    pub fn addr(&self) -> &Addr<Policy> {
        &self.policy
    }

    /// The driver that read the pipes when the policy started. A ring that fails later hands its pipes
    /// to the sweeping driver.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Spawns a child; returns when its program runs. A call that is dropped before it returned has
    /// given the child up, as a cancelled call in asyncio: if it was spawned, it is killed with the
    /// group that it leads, and its exit is in the log.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], which names the program, the step and what the operating system said.
    pub async fn spawn(&self, spawn: impl Into<Spawn>) -> Result<Child, SpawnError> {
        let spawn = spawn.into();
        let program = program(&spawn.command);
        let (reply, answer) = spawn::answer();
        self.policy.do_send(RequestSpawn(spawn, reply));
        answer.await.unwrap_or_else(|| Err(self.refused(program)))
    }

    /// Runs a command to its end and returns all that it wrote: nothing is missed, however little
    /// the log holds. For a child that is to be reached meanwhile, spawn it and call
    /// [`Child::output`].
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
    /// [`OutputError::Spawn`] if it cannot be spawned, and what [`Child::output`] says.
    #[doc(alias = "capture")]
    pub async fn output(&self, spawn: impl Into<Spawn>) -> Result<Output, OutputError> {
        let mut spawn = spawn.into();
        let id = *spawn.id.get_or_insert_with(ChildId::fresh);
        let collecting = Collecting::ahead(Arc::clone(&self.link), id);
        let child = self.spawn(spawn).await?;
        whole(collecting.finish(&child, Collected::default()).await?)
    }

    /// Spawns all children of a pipeline, or none; returns when every program runs. A call that is
    /// dropped before it returned is undone, as in [`spawn`](PolicyHandle::spawn).
    ///
    /// # Errors
    ///
    /// [`SpawnError`], which names the program that failed. Those that ran already are killed and
    /// reaped, with the process groups that they lead, and the log never hears of them.
    pub async fn spawn_pipeline(&self, pipeline: Pipeline) -> Result<RunningPipeline, SpawnError> {
        let program = program(pipeline.first());
        let (reply, answer) = spawn::answer();
        self.policy.do_send(RequestPipeline(SpawnPipeline(pipeline), reply));
        answer.await.unwrap_or_else(|| Err(self.refused(program)))
    }

    /// A pipe into the merged log that several children write to.
    ///
    /// # Errors
    ///
    /// Where no pipe can be made (`EMFILE`), or the policy has stopped.
    pub async fn shared_output(&self) -> io::Result<SharedOutput> {
        self.share(ShareOutput::Plain).await
    }

    /// A socket into the merged log that several children write to, and whose chunks tell which
    /// process wrote them.
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
    /// [`PolicyStopped`] once the policy has stopped.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<SubscriptionId, PolicyStopped> {
        self.policy.send(subscribe).await.unwrap_or_else(|_| Err(self.reason()))
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, subscription: SubscriptionId) {
        // A policy that has stopped has no subscriptions.
        let _ = self.policy.send(Unsubscribe(subscription)).await;
    }

    /// Reads the merged log from this place on. The reader loses nothing: reading pauses when it
    /// falls a whole log behind ([`LogReader::lossy`] chooses otherwise).
    #[must_use]
    pub fn log(&self, start: Start) -> LogReader {
        LogReader::open(Arc::clone(self.link.shared_log()), start)
    }

    /// Shuts the policy down and returns when no child, descriptor or thread of it is left:
    /// `SIGTERM` at once to every child (and to the group of each that leads or led one), `SIGKILL` to
    /// what is left after the grace, all output and exits delivered. It ends as soon as nothing is
    /// left. Spawns under way are refused; one whose program hangs in its exec is killed. Call it
    /// again with a shorter grace to shorten the wait.
    ///
    /// A process that cannot be killed (in an uninterruptible sleep, or of another user by a set-id
    /// program) is left behind after 5 seconds more, with a warning.
    pub async fn shutdown(&self, grace: Duration) {
        // Where nobody takes the message, the policy has stopped or is about to.
        let _ = self.policy.send(Shutdown { grace }).await;
        self.stopped().await;
    }

    /// Waits until the policy has stopped, and says why.
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
    /// Spawns it by this policy: [`PolicyHandle::spawn`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn spawn(self, policy: &PolicyHandle) -> Result<Child, SpawnError> {
        policy.spawn(self).await
    }

    /// Runs it to its end by this policy and returns all that it wrote: [`PolicyHandle::output`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn output(self, policy: &PolicyHandle) -> Result<Output, OutputError> {
        policy.output(self).await
    }
}
