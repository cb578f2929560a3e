//! `Spawn` and `SpawnPipeline`: the messages to the policy, and the ways of their answers.

use std::rc::Rc;

use actix::{
    Actor, Message, Recipient,
    dev::{MessageResponse, OneshotSender},
};

use super::{Job, SpawnPool};
use crate::{
    Child, ChildExited, ChildId, Command, Pipeline, RunningPipeline, SpawnError,
    restart::{contain, trace},
};

/// Spawns a child.
///
/// The spawn thread answers the sender directly, once the program runs. If the sender is gone by
/// then (it dropped the future of `send`), it has given the child up: the child is killed, with the
/// group that it leads, and its exit is in the log. A child sent by `do_send` is kept.
///
/// ```
/// use actix_process::{Command, Policy, Spawn};
///
/// # actix::System::new().block_on(async {
/// # let policy = Policy::start()?;
/// let child = policy.addr().send(Spawn::new(Command::shell("exit 3"))).await??;
/// assert_eq!(child.wait().await?.status.code(), Some(3));
/// # policy.shutdown(std::time::Duration::ZERO).await;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<Child, SpawnError>")]
#[must_use]
pub struct Spawn {
    pub(crate) command: Command,
    pub(crate) exit_to: Option<Recipient<ChildExited>>,
    /// The child's id, if the sender chose it.
    pub(crate) id: Option<ChildId>,
}

impl Spawn {
    /// Spawns `command`.
    pub fn new(command: Command) -> Self {
        Spawn { command, exit_to: None, id: None }
    }

    /// Sends the child's exit to this recipient: a subscription that cannot miss the exit.
    pub fn notify(mut self, recipient: Recipient<ChildExited>) -> Self {
        self.exit_to = Some(recipient);
        self
    }
}

impl From<Command> for Spawn {
    fn from(command: Command) -> Self {
        Spawn::new(command)
    }
}

/// Where the answer to a `Spawn` goes; `None` if it was sent by `do_send`.
pub(crate) type SpawnReply = Option<OneshotSender<Result<Child, SpawnError>>>;

/// Sends an answer. Returns it if its receiver is gone: the caller has given the spawn up.
pub(super) fn answer<T>(
    reply: Option<OneshotSender<Result<T, SpawnError>>>,
    with: Result<T, SpawnError>,
) -> Option<Result<T, SpawnError>> {
    if let Err(SpawnError { program, step, source }) = &with {
        trace::warn!(program, %step, error = %source, "a child could not be spawned");
    }
    // The receiver's waker may be foreign code; the answer is stored before the waker runs.
    contain("the waker of a spawn's caller", || reply?.send(with).err()).flatten()
}

/// The policy's handler returns this. It passes the job and its reply on to the spawn threads,
/// which saves a hop through the policy's thread.
#[derive(Debug)]
pub struct SpawnTicket {
    id: ChildId,
    message: Spawn,
    pool: Rc<SpawnPool>,
}

impl SpawnTicket {
    /// Chooses the child's id: the ids are in the order of the requests.
    pub(crate) fn new(message: Spawn, pool: Rc<SpawnPool>) -> Self {
        SpawnTicket { id: message.id.unwrap_or_else(ChildId::fresh), message, pool }
    }

    pub(crate) fn send(self, reply: SpawnReply) {
        self.pool.give(Job::Spawn(self.id, Box::new(self.message), reply));
    }
}

impl<A: Actor> MessageResponse<A, Spawn> for SpawnTicket {
    fn handle(self, _: &mut A::Context, reply: SpawnReply) {
        self.send(reply);
    }
}

/// Spawns all children of a pipeline, or none: if one cannot be spawned, the earlier ones are
/// killed and reaped (with the process groups that they lead) and are never in the log, and the
/// error names the one that failed.
///
/// The answer comes when every program runs. If given up, it is undone as a [`Spawn`].
#[derive(Debug, Message)]
#[rtype(result = "Result<RunningPipeline, SpawnError>")]
#[must_use]
pub struct SpawnPipeline(pub Pipeline);

/// One command of a pipeline, and the id of its child.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: ChildId,
    pub(crate) command: Command,
}

/// Where the answer to a `SpawnPipeline` goes, if anywhere.
pub(crate) type PipelineReply = Option<OneshotSender<Result<RunningPipeline, SpawnError>>>;

/// The policy's handler returns this: see [`SpawnTicket`].
#[derive(Debug)]
pub struct PipelineTicket {
    links: Vec<Link>,
    pool: Rc<SpawnPool>,
}

impl PipelineTicket {
    /// Chooses the children's ids, in their order.
    pub(crate) fn new(SpawnPipeline(pipeline): SpawnPipeline, pool: Rc<SpawnPool>) -> Self {
        let commands = pipeline.earlier.into_iter().chain([pipeline.last]);
        let links = commands.map(|command| Link { id: ChildId::fresh(), command }).collect();
        PipelineTicket { links, pool }
    }

    pub(crate) fn send(self, reply: PipelineReply) {
        self.pool.give(Job::Pipeline(self.links, reply));
    }
}

impl<A: Actor> MessageResponse<A, SpawnPipeline> for PipelineTicket {
    fn handle(self, _: &mut A::Context, reply: PipelineReply) {
        self.send(reply);
    }
}
