//! `Spawner`: the spawn threads. They live as long as the StateManager, since a child that asked
//! for a signal at its parent's death gets it when the *thread* that spawned it ends.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use actix::{Addr, Recipient, WeakAddr};
use crossbeam_channel::Receiver;
use nix::sys::signal::Signal;
use smallvec::SmallVec;
use tokio::{io::unix::AsyncFd, runtime::Handle, sync::mpsc};

use super::{
    SpawnReply,
    check::check,
    launch::{Launched, Launcher},
    messages::Spawn,
    pipes,
};
use crate::{
    Child, ChildId, Command, ErrorOutput, ExitHandler, Output, PolicyStopped, ProcessGroup,
    SpawnError, SpawnStep, WatchError, WatchedExit,
    child::ChildCell,
    input::InputQueue,
    policy::Policy,
    read_loop::{LoopCommand, LoopLink, Registration},
    sys::{self, pidfd, readiness},
    waiting::{Adopt, Adoption, ExitRecord, HostedWatcher, Inbox, Released, Watcher},
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

/// The shared contexts that a command writes to.
fn shared_by(command: &Command) -> SmallVec<[ChildId; 1]> {
    let mut shared = SmallVec::new();
    let stderr = match &command.stderr {
        ErrorOutput::To(place) => Some(place),
        ErrorOutput::WithStdout => None,
    };
    for place in [Some(&command.stdout), stderr].into_iter().flatten() {
        if let Output::Shared(context) = place
            && !shared.contains(&context.id())
        {
            shared.push(context.id());
        }
    }
    shared
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
                Job::Spawn(..) if self.closing.load(SeqCst) => job.refuse(),
                Job::Spawn(id, message, reply) => {
                    let Spawn { command, exit_to } = *message;
                    let child = self.spawn(&mut launcher, id, &command, exit_to);
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
        launcher: &mut Launcher,
        id: ChildId,
        command: &Command,
        exit_to: Option<Recipient<crate::ChildExited>>,
    ) -> Result<Child, SpawnError> {
        let fail = |(step, source)| failed(command, step, source);
        check(command).map_err(|error| fail((SpawnStep::CheckCommand, error)))?;
        let child_watcher = self.child_watcher.as_ref();
        if child_watcher.is_some_and(|watcher| !watcher.is_active()) {
            return Err(fail((SpawnStep::CheckWatcher, io::Error::other(WatchError::Inactive))));
        }
        let registering = child_watcher.map(HostedWatcher::registering);
        let (ends, child_ends) = pipes::reserve(command).map_err(fail)?;
        let started = Instant::now();
        let Launched { pid, pidfd } = launcher.launch(command, child_ends).map_err(fail)?;
        let watched = pidfd.map(|pidfd| self.watch(pidfd)).transpose();
        let pidfd = watched.map_err(|error| fail((SpawnStep::Watch, error)))?;
        let program: Arc<str> = command.program.to_string_lossy().into();
        let span = tracing::info_span!("child", %id, pid, %program);
        let input = ends.stdin.is_some().then(InputQueue::new);
        let cell = ChildCell::new(id, pid, program, input);
        let leads_group = command.group == ProcessGroup::Own;
        let released_to: Option<Recipient<Released>> =
            leads_group.then(|| self.watcher.clone().recipient());
        // First the read loop, so that it knows the child when the record comes.
        self.link.push(LoopCommand::Register(Box::new(Registration {
            cell: Arc::clone(&cell),
            stdin: ends.stdin,
            outputs: ends.outputs,
            shared: shared_by(command),
            share: command.share,
            status: ends.status,
            exit_to,
            released_to,
            span,
        })));
        let status_pipe = ends.status_writer;
        match pidfd {
            Some(pidfd) => {
                let cell = Arc::clone(&cell);
                self.inbox.put(Adoption {
                    cell,
                    pidfd,
                    status_pipe,
                    leads_group,
                    started,
                    registering,
                });
                self.watcher.do_send(Adopt);
            }
            None => self.has_ended(&cell, started, status_pipe),
        }
        Ok(Child::new(cell, self.policy.clone(), Arc::clone(&self.link)))
    }

    /// Reports a child that was reaped before anyone could watch it: by a hosted watcher, which then
    /// has its status, or by something else.
    fn has_ended(&self, cell: &Arc<ChildCell>, started: Instant, status_pipe: OwnedFd) {
        let pipe = Arc::new(Mutex::new(Some(status_pipe)));
        let take = move || pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (child, link, taken) = (cell.id, Arc::clone(&self.link), take.clone());
        let handler = ExitHandler::new(move |WatchedExit { status, usage, .. }| {
            if let Some(pipe) = taken() {
                let wall_time = started.elapsed();
                ExitRecord { child, status, usage, wall_time }.report(&pipe, &link);
            }
        });
        let watched = self.child_watcher.as_ref().map(|watcher| watcher.add(cell.pid, handler));
        if !matches!(watched, Some(Ok(())))
            && let Some(pipe) = take()
        {
            ExitRecord::lost(cell, started).report(&pipe, &self.link);
        }
    }

    /// Registers the pidfd with the watcher's reactor. A child that cannot be is killed and reaped.
    fn watch(&self, pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
        let _reactor = self.runtime.enter();
        let watched = readiness::watch(pidfd);
        #[cfg(feature = "fault-injection")]
        let watched = watched.and_then(|pidfd| {
            match crate::supervise::fault_due(crate::supervise::Fault::SpawnUnwatched) {
                true => Err((pidfd.into_inner(), nix::errno::Errno::ENOSPC.into())),
                false => Ok(pidfd),
            }
        });
        watched.map_err(|(pidfd, error)| {
            // ESRCH: it has ended already.
            let _ = pidfd::signal(&pidfd, Signal::SIGKILL);
            pidfd::discard(pidfd);
            error
        })
    }
}
