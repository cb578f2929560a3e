//! `Spawn`: the message to the policy, and how its answer gets back.

use actix::{
    Actor, Message, Recipient,
    dev::{MessageResponse, OneshotSender},
};
use crossbeam_channel::Sender;

use super::Job;
use crate::{Child, ChildId, Command, SpawnError, log::ChildExited};

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
