//! `Spawner`: the spawn threads. They live as long as the StateManager, since a child that asked
//! for a signal at its parent's death gets it when the *thread* that spawned it ends.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

use actix::{Addr, Recipient, WeakAddr, dev::OneshotSender};
use crossbeam_channel::Receiver;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    Link, PipelineReply, SpawnReply, check::check, launch::Launcher, messages::Spawn,
    newborn::failed, pipes::InnerEnds,
};
use crate::{
    Child, ChildExited, ChildId, Command, PolicyStopped, RunningPipeline, SpawnError, SpawnStep,
    policy::Policy,
    read_loop::LoopLink,
    sys,
    waiting::{HostedWatcher, Inbox, Watcher},
};

/// Work for a spawn thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// Spawn, and answer.
    Spawn(ChildId, Box<Spawn>, SpawnReply),
    /// Spawn all or none, and answer.
    Pipeline(Vec<Link>, PipelineReply),
    /// End, and drop this as the last thing.
    Stop(#[expect(dead_code, reason = "it is there to be dropped")] mpsc::Sender<()>),
}

impl Job {
    /// Answers that the policy takes nothing in any more.
    pub(crate) fn refuse(self) {
        match self {
            Job::Spawn(_, message, reply) => answer(reply, Err(refused(&message.command))),
            Job::Pipeline(links, reply) => {
                if let Some(first) = links.first() {
                    answer(reply, Err(refused(&first.command)));
                }
            }
            Job::Stop(_) => {}
        }
    }
}

fn answer<T>(reply: Option<OneshotSender<T>>, with: T) {
    if let Some(reply) = reply {
        // A sender that has gone away needs no answer; the children are the policy's then.
        let _ = reply.send(with);
    }
}

fn refused(command: &Command) -> SpawnError {
    failed(command, SpawnStep::Intake, io::Error::other(PolicyStopped::Shutdown))
}

/// What a spawn thread works with.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    pub(crate) jobs: Receiver<Job>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) link: Arc<LoopLink>,
    pub(crate) inbox: Arc<Inbox>,
    /// The watcher that the policy hosts, if any.
    pub(crate) child_watcher: Option<HostedWatcher>,
    pub(crate) watcher: Addr<Watcher>,
    pub(crate) policy: WeakAddr<Policy>,
    /// The runtime whose reactor watches the pidfds.
    pub(crate) runtime: Handle,
}

/// A spawn holds its thread until the child has executed its program. Two at a time keep the cores
/// busy; more were not faster where it was measured, and hold more of the parent's locks.
const THREADS: usize = 2;

impl Spawner {
    /// Starts the threads. They end by a [`Job::Stop`] each.
    pub(crate) fn start(self) -> io::Result<Vec<JoinHandle<()>>> {
        let threads = (0..THREADS).map(|_| {
            let (spawner, launcher) = (self.clone(), Launcher::new()?);
            thread::Builder::new()
                .name("actix-process-spawn".into())
                .spawn(|| spawner.run(launcher))
        });
        threads.collect()
    }

    /// Works until it is told to stop.
    fn run(self, mut launcher: Launcher) {
        sys::signal_mask::unblock_sigpipe();
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Spawn(..) | Job::Pipeline(..) if self.closing.load(SeqCst) => job.refuse(),
                Job::Spawn(id, message, reply) => {
                    let Spawn { command, exit_to } = *message;
                    let child = self.spawn(&mut launcher, Link { id, command }, exit_to);
                    answer(reply, child);
                }
                Job::Pipeline(links, reply) => {
                    let children = self.spawn_pipeline(&mut launcher, links);
                    answer(reply, children.map(RunningPipeline::new));
                }
                Job::Stop(_) => break,
            }
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
        let newborn = self.bear(launcher, &link.command, InnerEnds::default())?;
        Ok(self.make_known(&link, newborn, exit_to))
    }
}
