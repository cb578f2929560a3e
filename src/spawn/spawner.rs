//! `Spawner`: a spawn thread's tools and its work. The threads live as long as the policy, since a
//! child that asked for a signal at its parent's death gets it when the *thread* that spawned it
//! ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use actix::{Addr, Recipient, WeakRecipient};
use crossbeam_channel::Receiver;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    Link, PipelineReply, SpawnReply,
    check::check,
    launch::Launcher,
    messages::{Spawn, answer},
    pipes::InnerEnds,
    pool::Work,
    unregistered::{failed, refused},
};
use crate::{
    Child, ChildExited, ChildId, RunningPipeline, SpawnError, SpawnStep,
    child::{Alarm, Spawned as _},
    process::{HostedWatcher, PollSoon},
    read_loop::Mailbox,
    restart::{dispose, message_of, trace},
    waiting::{Inbox, Watcher},
};

/// Work for a spawn thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// Spawn, and answer.
    Spawn(ChildId, Box<Spawn>, SpawnReply),
    /// Spawn all children or none, and answer.
    Pipeline(Vec<Link>, PipelineReply),
    /// End the thread, and drop this last.
    Stop(#[expect(dead_code, reason = "it is there to be dropped")] mpsc::Sender<()>),
}

impl Job {
    /// Answers that the policy accepts no more spawns.
    pub(crate) fn refuse(self) {
        match self {
            Job::Spawn(_, message, reply) => {
                answer(reply, Err(refused(&message.command)));
            }
            Job::Pipeline(links, reply) => {
                if let Some(first) = links.first() {
                    answer(reply, Err(refused(&first.command)));
                }
            }
            Job::Stop(_) => {}
        }
    }
}

/// Where the answer to a job goes.
#[derive(Debug)]
pub(super) enum Reply {
    Child(SpawnReply),
    Pipeline(PipelineReply),
}

impl Reply {
    /// Whether the caller has given the job up.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Reply::Child(reply) => reply.as_ref().is_some_and(|reply| reply.is_closed()),
            Reply::Pipeline(reply) => reply.as_ref().is_some_and(|reply| reply.is_closed()),
        }
    }
}

/// A job, and a token that is dropped when the job is done, so that the pool can count.
pub(crate) type Taken = (Job, Arc<()>);

/// What a spawn thread works with.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    pub(crate) jobs: Receiver<Taken>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) link: Arc<Mailbox>,
    pub(crate) poll_soon: PollSoon,
    pub(crate) inbox: Arc<Inbox>,
    /// The watcher that the policy hosts, if it hosts one.
    pub(crate) child_watcher: Option<HostedWatcher>,
    pub(crate) watcher: Addr<Watcher>,
    /// The policy's clock, for deadlines.
    pub(crate) alarms: WeakRecipient<Alarm>,
    /// The runtime whose reactor watches the pidfds.
    pub(crate) runtime: Handle,
}

impl Spawner {
    /// Works until a stop job comes. A panic ends only its job, whose child is killed and reaped,
    /// and not the thread.
    pub(super) fn run(self, mut launcher: Launcher, work: &Work) {
        while let Ok((job, taken)) = self.jobs.recv() {
            if let Job::Stop(_) = job {
                break;
            }
            let done = catch_unwind(AssertUnwindSafe(|| self.act(&mut launcher, job, work)));
            // If the job panicked, it is still marked as begun.
            work.end();
            drop(taken);
            if let Err(panic) = done {
                trace::error!(message = message_of(&*panic), "a spawn panicked");
                dispose(panic);
            }
        }
    }

    /// Whether the policy accepts no more spawns.
    pub(super) fn is_closed(&self) -> bool {
        self.closing.load(SeqCst) || self.inbox.is_closed()
    }

    fn act(&self, launcher: &mut Launcher, job: Job, work: &Work) {
        if self.is_closed() {
            return job.refuse();
        }
        match job {
            Job::Spawn(id, message, reply) => {
                if !work.begin(Reply::Child(reply)) {
                    return;
                }
                let Spawn { command, exit_to, .. } = *message;
                let child = self.spawn(launcher, Link { id, command }, exit_to);
                if let Some(Reply::Child(reply)) = work.end()
                    && let Some(Ok(child)) = answer(reply, child)
                {
                    child.undo();
                }
            }
            Job::Pipeline(links, reply) => {
                if !work.begin(Reply::Pipeline(reply)) {
                    return;
                }
                let children = self.spawn_pipeline(launcher, links);
                if let Some(Reply::Pipeline(reply)) = work.end()
                    && let Some(Ok(pipeline)) = answer(reply, children.map(RunningPipeline::new))
                {
                    pipeline.undo();
                }
            }
            Job::Stop(_) => {}
        }
    }

    fn spawn(
        &self,
        launcher: &mut Launcher,
        link: Link,
        exit_to: Option<Recipient<ChildExited>>,
    ) -> Result<Child, SpawnError> {
        check(&link.command)
            .map_err(|error| failed(&link.command, SpawnStep::CheckCommand, error))?;
        let child = self.start_child(launcher, &link.command, InnerEnds::default())?;
        let registered = self.register(std::slice::from_ref(&link), vec![child], exit_to);
        registered.and_then(|mut children| children.pop()).ok_or_else(|| refused(&link.command))
    }
}
