//! `Spawn` and `SpawnPipeline`: the messages to the policy, and how their answers get back.

use actix::{
    Actor, Message, Recipient,
    dev::{MessageResponse, OneshotSender},
};
use crossbeam_channel::Sender;

use super::Job;
use crate::{Child, ChildId, Command, Pipeline, RunningPipeline, SpawnError, log::ChildExited};

/// Spawns a child.
///
/// The answer comes when the program runs: from the spawn thread straight to the sender.
#[derive(Debug, Message)]
#[rtype(result = "Result<Child, SpawnError>")]
#[must_use]
pub struct Spawn {
    pub(crate) command: Command,
    pub(crate) exit_to: Option<Recipient<ChildExited>>,
}

impl Spawn {
    /// Spawns `command`.
    pub fn new(command: Command) -> Self {
        Spawn { command, exit_to: None }
    }

    /// Sends the child's exit to this recipient: a subscription that no exit can be faster than.
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

/// Where the answer to a `Spawn` goes; nowhere where it was sent by `do_send`.
pub(crate) type SpawnReply = Option<OneshotSender<Result<Child, SpawnError>>>;

/// What the policy's handler returns: it hands the job and the answer's way on to the spawn
/// threads, which saves a hop through the policy's thread.
#[derive(Debug)]
pub struct SpawnTicket {
    id: ChildId,
    message: Spawn,
    jobs: Sender<Job>,
}

impl SpawnTicket {
    /// Numbers the child: the order of the ids is that of the requests.
    pub(crate) fn new(message: Spawn, jobs: Sender<Job>) -> Self {
        SpawnTicket { id: ChildId::fresh(), message, jobs }
    }
}

impl<A: Actor> MessageResponse<A, Spawn> for SpawnTicket {
    fn handle(self, _: &mut A::Context, reply: SpawnReply) {
        if let Err(unsent) = self.jobs.send(Job::Spawn(self.id, Box::new(self.message), reply)) {
            unsent.into_inner().refuse();
        }
    }
}

/// Spawns all children of a pipeline, or none: where one cannot be spawned, those before it are
/// killed and reaped (with the process groups that they lead), the log never hears of them, and the
/// error names the one that failed.
///
/// The answer comes when every program runs.
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

/// What the policy's handler returns: see [`SpawnTicket`].
#[derive(Debug)]
pub struct PipelineTicket {
    links: Vec<Link>,
    jobs: Sender<Job>,
}

impl PipelineTicket {
    /// Numbers the children, in their order.
    pub(crate) fn new(SpawnPipeline(pipeline): SpawnPipeline, jobs: Sender<Job>) -> Self {
        let commands = pipeline.earlier.into_iter().chain([pipeline.last]);
        let links = commands.map(|command| Link { id: ChildId::fresh(), command }).collect();
        PipelineTicket { links, jobs }
    }
}

impl<A: Actor> MessageResponse<A, SpawnPipeline> for PipelineTicket {
    fn handle(self, _: &mut A::Context, reply: PipelineReply) {
        if let Err(unsent) = self.jobs.send(Job::Pipeline(self.links, reply)) {
            unsent.into_inner().refuse();
        }
    }
}
