//! `Spawner`: the spawn threads. They live as long as the StateManager, since a child that asked
//! for a signal at its parent's death gets it when the *thread* that spawned it ends.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use actix::{Addr, Recipient, WeakAddr};
use crossbeam_channel::Receiver;
use tokio::{io::unix::AsyncFd, runtime::Handle, sync::mpsc};

use super::{SpawnReply, check::check, launch::launch, messages::Spawn, pipes};
use crate::{
    Child, ChildId, Command, PolicyStopped, ProcessGroup, SpawnError, SpawnStep,
    child::ChildCell,
    policy::Policy,
    read_loop::{LoopCommand, LoopLink, Registration},
    sys::pidfd,
    waiting::{Adopt, Adoption, ExitRecord, Inbox, Released, Watcher},
};

/// Work for a spawn thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// Spawn, and answer.
    Spawn(ChildId, Box<Spawn>, SpawnReply),
    /// End, and drop this as the last thing.
    Stop(#[expect(dead_code, reason = "it is there to be dropped")] mpsc::Sender<()>),
}

impl Job {
    /// Answers that the policy takes nothing in any more.
    pub(crate) fn refuse(self) {
        match self {
            Job::Spawn(_, message, Some(reply)) => {
                let source = io::Error::other(PolicyStopped::Shutdown);
                // A sender that has gone away needs no answer.
                let _ = reply.send(Err(failed(&message.command, SpawnStep::Intake, source)));
            }
            Job::Spawn(_, _, None) | Job::Stop(_) => {}
        }
    }
}

fn failed(command: &Command, step: SpawnStep, source: io::Error) -> SpawnError {
    let program = command.program.to_string_lossy().into_owned();
    SpawnError { program, step, source }
}

/// What a spawn thread works with.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    pub(crate) jobs: Receiver<Job>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) link: Arc<LoopLink>,
    pub(crate) inbox: Arc<Inbox>,
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
            let spawner = self.clone();
            thread::Builder::new().name("actix-process-spawn".into()).spawn(|| spawner.run())
        });
        threads.collect()
    }

    /// Works until it is told to stop.
    fn run(self) {
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Spawn(..) if self.closing.load(SeqCst) => job.refuse(),
                Job::Spawn(id, message, reply) => {
                    let Spawn { command, exit_to } = *message;
                    let child = self.spawn(id, &command, exit_to);
                    if let Some(reply) = reply {
                        // A sender that has gone away leaves the child to the policy.
                        let _ = reply.send(child);
                    }
                }
                Job::Stop(_) => break,
            }
        }
    }

    fn spawn(
        &self,
        id: ChildId,
        command: &Command,
        exit_to: Option<Recipient<crate::ChildExited>>,
    ) -> Result<Child, SpawnError> {
        let fail = |step| move |source| failed(command, step, source);
        check(command).map_err(fail(SpawnStep::CheckCommand))?;
        let (ends, child_ends) =
            pipes::reserve(command).map_err(fail(SpawnStep::ReserveDescriptors))?;
        let started = Instant::now();
        let mut process =
            launch(command, child_ends).map_err(|(step, source)| failed(command, step, source))?;
        drop(ends.reserved);
        let pid = process.id().cast_signed();
        let pidfd = match self.watch(pid) {
            Ok(pidfd) => Some(pidfd),
            // It has ended, and something in this program has reaped it already.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => None,
            Err(error) => {
                end(&mut process);
                return Err(failed(command, SpawnStep::Watch, error));
            }
        };
        let program: Arc<str> = command.program.to_string_lossy().into();
        let span = tracing::info_span!("child", %id, pid, %program);
        let cell = ChildCell::new(id, pid, program);
        let leads_group = command.group == ProcessGroup::Own;
        let released_to: Option<Recipient<Released>> =
            leads_group.then(|| self.watcher.clone().recipient());
        // First the read loop, so that it knows the child when the record comes.
        self.link.push(LoopCommand::Register(Box::new(Registration {
            cell: Arc::clone(&cell),
            stdout: ends.stdout,
            stderr: ends.stderr,
            status: ends.status,
            exit_to,
            released_to,
            span,
        })));
        let status_pipe = ends.status_writer;
        match pidfd {
            Some(pidfd) => {
                let cell = Arc::clone(&cell);
                self.inbox.put(Adoption { cell, pidfd, status_pipe, leads_group, started });
                self.watcher.do_send(Adopt);
            }
            None => ExitRecord::lost(&cell, started).report(&status_pipe, &self.link),
        }
        Ok(Child::new(cell, self.policy.clone(), Arc::clone(&self.link)))
    }

    /// Opens the pidfd and registers it with the watcher's reactor.
    fn watch(&self, pid: i32) -> io::Result<AsyncFd<std::os::fd::OwnedFd>> {
        #[cfg(feature = "fault-injection")]
        if crate::supervise::fault_due(crate::supervise::Fault::SpawnWithoutPidfd) {
            return Err(nix::errno::Errno::EMFILE.into());
        }
        let _reactor = self.runtime.enter();
        pidfd::watch(pidfd::open(pid)?)
    }
}

/// Kills and reaps a child that cannot be watched. Nobody else knows it, so its PID is its own.
fn end(process: &mut std::process::Child) {
    if let Err(error) = process.kill().and_then(|()| process.wait()) {
        tracing::warn!(pid = process.id(), %error, "an unwatched child may not be reaped");
    }
}
