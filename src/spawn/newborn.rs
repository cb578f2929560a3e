//! `Newborn`: a child between its birth and the moment when read loop and watcher know of it.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
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
    Child, ChildExited, ChildId, Command, ErrorOutput, ExitHandler, Output, Registering,
    SpawnError, SpawnStep, WatchError, WatchedExit,
    child::ChildCell,
    input::InputQueue,
    read_loop::{Extras, LoopCommand, Registration},
    sys::{pidfd, readiness},
    waiting::{Adopt, Adoption, ChildSlot, ExitRecord, HostedWatcher},
};

/// A process that runs its program, and that nobody but its spawn thread knows yet.
#[derive(Debug)]
pub(super) struct Newborn {
    pid: i32,
    /// `None` where something in this program has reaped it already.
    pidfd: Option<AsyncFd<OwnedFd>>,
    leads_group: bool,
    ends: ParentEnds,
    started: Instant,
    registering: Option<Registering>,
}

impl Newborn {
    /// Kills it, and the group that it leads.
    pub(super) fn kill(&self) {
        let Some(pidfd) = &self.pidfd else { return };
        if self.leads_group {
            // EINVAL before Linux 6.9: it leaves what the child itself started.
            let _ = pidfd::signal_group(pidfd, Signal::SIGKILL);
        }
        // ESRCH: it has ended already.
        let _ = pidfd::signal(pidfd, Signal::SIGKILL);
    }

    /// Reaps it when it has been killed.
    pub(super) fn discard(self) {
        if let Some(pidfd) = self.pidfd {
            pidfd::discard(pidfd.into_inner());
        }
    }
}

impl Spawner {
    /// Brings a child up to its program.
    pub(super) fn bear(
        &self,
        launcher: &mut Launcher,
        command: &Command,
        inner: InnerEnds,
    ) -> Result<Newborn, SpawnError> {
        let fail = |(step, source)| failed(command, step, source);
        let child_watcher = self.child_watcher.as_ref();
        if child_watcher.is_some_and(|watcher| !watcher.is_active()) {
            return Err(fail((SpawnStep::CheckWatcher, io::Error::other(WatchError::Inactive))));
        }
        let registering = child_watcher.map(HostedWatcher::registering);
        let (ends, child_ends) = pipes::reserve(command, inner).map_err(fail)?;
        let started = Instant::now();
        let Launched { pid, pidfd } = launcher.launch(command, child_ends).map_err(fail)?;
        let watched = pidfd.map(|pidfd| self.watch(pidfd)).transpose();
        let pidfd = watched.map_err(|error| fail((SpawnStep::Watch, error)))?;
        let leads_group = command.leads_group();
        Ok(Newborn { pid, pidfd, leads_group, ends, started, registering })
    }

    /// Hands it over to the read loop and the watcher.
    pub(super) fn make_known(
        &self,
        Link { id, command }: &Link,
        newborn: Newborn,
        exit_to: Option<Recipient<ChildExited>>,
    ) -> Child {
        let Newborn { pid, pidfd, leads_group, ends, started, registering } = newborn;
        let program: Arc<str> = command.program.to_string_lossy().into();
        let span = tracing::info_span!("child", %id, pid, %program);
        let on_terminal = command.terminal.is_some();
        let input = ends.stdin.is_some().then(|| InputQueue::new(on_terminal));
        let cell = ChildCell::new(*id, pid, program, input);
        let extras = Extras {
            terminal: ends.terminal,
            shared: shared_by(command),
            released_to: leads_group.then(|| self.watcher.clone().recipient()),
        };
        let status_writer = ends.status_writer;
        let (slot, status_writer) = match pidfd {
            Some(pidfd) => {
                let (cell, link) = (Arc::clone(&cell), Arc::clone(&self.link));
                let slot = ChildSlot::new(cell, pidfd, status_writer, leads_group, started, link);
                (Some(slot), None)
            }
            None => (None, Some(status_writer)),
        };
        // A hosted child watcher reaps by itself.
        let lent = slot.clone().filter(|_| self.child_watcher.is_none());
        // Into the inbox before the read loop can see the child's end, and make it known; but the loop
        // is woken first, which has the child's pipes to read.
        if let Some(slot) = slot {
            self.inbox.put(Adoption { slot, registering });
        }
        self.link.push(LoopCommand::Register(Box::new(Registration {
            cell: Arc::clone(&cell),
            slot: lent,
            stdin: ends.stdin,
            outputs: ends.outputs,
            share: command.share,
            status: ends.status,
            exit_to,
            extras: extras.some(),
            span,
        })));
        match status_writer {
            None => self.watcher.do_send(Adopt),
            Some(status_writer) => self.has_ended(&cell, started, status_writer),
        }
        Child::new(cell, self.policy.clone(), Arc::clone(&self.link))
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

pub(super) fn failed(command: &Command, step: SpawnStep, source: io::Error) -> SpawnError {
    let program = command.program.to_string_lossy().into_owned();
    SpawnError { program, step, source }
}
