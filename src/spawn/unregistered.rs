//! `Unregistered`: a child after its launch, not yet registered with read loop and watcher.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use actix::Recipient;
use nix::sys::signal::Signal;
use smallvec::SmallVec;
use tokio::io::unix::AsyncFd;

use super::{
    Link, Spawner,
    launch::{Launched, Launcher},
    pipes::{self, InnerEnds, ParentEnds},
};
use crate::{
    Child, ChildExited, ChildId, Command, ErrorTo, OutputTo, PolicyStopped, SpawnError, SpawnStep,
    asyncio::Registering,
    cell::{ChildCell, InputQueue},
    process::{HostedWatcher, Ownership, Process},
    read_loop::{Extras, LoopCommand, Registration},
    restart::{fault_point, trace::ChildSpan},
    sys::{pidfd, readiness, wait},
    types::WatchError,
    waiting::{Adopt, Adoption},
};

/// A process that runs its program, known only to its spawn thread. Dropping it (also by a panic)
/// kills and reaps the process.
#[derive(Debug)]
pub(super) struct Unregistered {
    pid: i32,
    /// `None` once the process has another owner.
    pidfd: Option<AsyncFd<OwnedFd>>,
    leads_group: bool,
    ends: Option<ParentEnds>,
    started: Instant,
    registering: Option<Registering>,
}

impl Unregistered {
    /// Kills the process and the group that it leads.
    pub(super) fn kill(&self) {
        if let Some(pidfd) = &self.pidfd {
            kill(pidfd, self.leads_group);
        }
    }
}

impl Drop for Unregistered {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            end(&pidfd, self.leads_group);
        }
    }
}

fn kill(pidfd: impl AsFd, leads_group: bool) {
    if leads_group {
        // EINVAL before Linux 6.9: then the child's own descendants are left.
        let _ = pidfd::signal_group(&pidfd, Signal::SIGKILL);
    }
    // ESRCH: the process has already ended.
    let _ = pidfd::signal(pidfd, Signal::SIGKILL);
}

/// Kills a process and the group that it leads, and reaps it.
fn end(pidfd: impl AsFd, leads_group: bool) {
    kill(&pidfd, leads_group);
    wait::discard(pidfd);
}

impl Spawner {
    /// Starts a child, and returns when its program runs.
    pub(super) fn start_child(
        &self,
        launcher: &mut Launcher,
        command: &Command,
        inner: InnerEnds,
    ) -> Result<Unregistered, SpawnError> {
        let fail = |(step, source)| failed(command, step, source);
        let child_watcher = self.child_watcher.as_ref();
        if child_watcher.is_some_and(|watcher| !watcher.is_active()) {
            return Err(fail((SpawnStep::CheckWatcher, io::Error::other(WatchError::Inactive))));
        }
        let registering = child_watcher.map(HostedWatcher::registering);
        let (ends, child_ends) = pipes::reserve(command, inner).map_err(fail)?;
        let started = Instant::now();
        let launched = launcher.launch(command, child_ends);
        if self.is_closed() {
            // The launch may have hung until now, and the policy may have stopped.
            if let Ok(Launched { pidfd, .. }) = &launched {
                end(pidfd, command.leads_group());
            }
            return Err(refused(command));
        }
        let Launched { pid, pidfd } = launched.map_err(fail)?;
        let leads_group = command.leads_group();
        let watched = self.watch(pidfd, leads_group);
        let pidfd = Some(watched.map_err(|error| fail((SpawnStep::Watch, error)))?);
        Ok(Unregistered { pid, pidfd, leads_group, ends: Some(ends), started, registering })
    }

    /// Registers children with the watcher and the read loop. If a shutdown has begun, kills and
    /// reaps them and returns `None`.
    pub(super) fn register(
        &self,
        links: &[Link],
        unregistered: Vec<Unregistered>,
        mut exit_to: Option<Recipient<ChildExited>>,
    ) -> Option<Vec<Child>> {
        let mut adoptions = Vec::with_capacity(links.len());
        let mut registrations = Vec::with_capacity(links.len());
        fault_point!(SpawnBeforeAdoption);
        for (link, mut child) in links.iter().zip(unregistered) {
            let (Some(pidfd), Some(ends)) = (child.pidfd.take(), child.ends.take()) else {
                continue;
            };
            let registering = child.registering.take();
            let (process, mut registration) = self.prepare(link, &child, pidfd, ends);
            registration.exit_to = exit_to.take();
            adoptions.push(Adoption { process, registering });
            registrations.push(registration);
        }
        let processes: Vec<_> = adoptions.iter().map(|it| Arc::clone(&it.process)).collect();
        // Into the inbox before the read loop can see and report the child's end. But the loop is
        // woken before the watcher, because it has the child's pipes to read.
        if let Err(refused_ones) = self.inbox.put(adoptions) {
            refused_ones.iter().for_each(|it| it.process.signal_all(&[Signal::SIGKILL]));
            refused_ones.iter().for_each(|it| it.process.discard());
            return None;
        }
        let children = registrations.iter().zip(&processes).map(|(registration, process)| {
            let cell = Arc::clone(&registration.cell);
            Child::new(cell, self.alarms.clone(), Arc::clone(&self.link), Arc::downgrade(process))
        });
        let children = children.collect();
        for registration in registrations {
            self.link.push(LoopCommand::Register(Box::new(registration)));
        }
        self.watcher.do_send(Adopt);
        Some(children)
    }

    /// Makes the child's owner and its registration with the read loop.
    fn prepare(
        &self,
        Link { id, command }: &Link,
        &Unregistered { pid, leads_group, started, .. }: &Unregistered,
        pidfd: AsyncFd<OwnedFd>,
        ends: ParentEnds,
    ) -> (Arc<Process>, Registration) {
        let program: Arc<str> = match &command.name {
            Some(name) => name.as_str().into(),
            None => command.program.to_string_lossy().into(),
        };
        let on_terminal = command.terminal.is_some();
        let input = ends.stdin.is_some().then(|| InputQueue::new(on_terminal));
        let cell = ChildCell::new(*id, pid, Arc::clone(&program), input);
        let ownership = Ownership {
            pidfd,
            status_pipe: ends.status_writer,
            leads_group,
            hosted: self.child_watcher.is_some(),
            started,
        };
        let process = Process::new(Arc::clone(&cell), ownership, self.poll_soon.clone());
        let extras = Extras { terminal: ends.terminal, shared: shared_by(command) };
        let registration = Registration {
            cell,
            process: Arc::clone(&process),
            stdin: ends.stdin,
            outputs: ends.outputs,
            share: command.share,
            status: ends.status,
            exit_to: None,
            extras: extras.some(),
            span: ChildSpan::new(|| tracing::info_span!("child", %id, pid, %program)),
        };
        (process, registration)
    }

    /// Registers the pidfd with the watcher's reactor. If that fails, kills and reaps the child.
    fn watch(&self, pidfd: OwnedFd, leads_group: bool) -> io::Result<AsyncFd<OwnedFd>> {
        let _reactor = self.runtime.enter();
        let watched = readiness::watch(pidfd);
        #[cfg(feature = "fault-injection")]
        let watched = watched.and_then(|pidfd| {
            match crate::restart::fault_due(crate::restart::Fault::SpawnUnwatched) {
                true => Err((pidfd.into_inner(), nix::errno::Errno::ENOSPC.into())),
                false => Ok(pidfd),
            }
        });
        watched.map_err(|(pidfd, error)| {
            end(&pidfd, leads_group);
            error
        })
    }
}

/// The shared pipe contexts that a command writes to.
fn shared_by(command: &Command) -> SmallVec<[ChildId; 1]> {
    let mut shared = SmallVec::new();
    let stderr = match &command.stderr {
        ErrorTo::To(place) => Some(place),
        ErrorTo::WithStdout => None,
    };
    for place in [Some(&command.stdout), stderr].into_iter().flatten() {
        if let OutputTo::Shared(context) = place
            && !shared.contains(&context.id())
        {
            shared.push(context.id());
        }
    }
    shared
}

pub(super) fn failed(command: &Command, step: SpawnStep, source: io::Error) -> SpawnError {
    let program = command.program.to_string_lossy().into_owned();
    SpawnError { program, step, source }
}

/// The policy accepts no more spawns.
pub(super) fn refused(command: &Command) -> SpawnError {
    failed(command, SpawnStep::Intake, io::Error::other(PolicyStopped::Shutdown))
}
