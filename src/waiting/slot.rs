//! `ChildSlot`: the ownership of one child, kept outside the actors so that it outlives a panic.

use std::{
    cell::{OnceCell, RefCell},
    future::Future,
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use nix::sys::signal::Signal as UnixSignal;
use tokio::{io::unix::AsyncFd, sync::oneshot};

use super::{Adoption, ExitRecord, HostedWatcher, Target};
use crate::{
    ChildId, ExitHandler, SignalError, WatchedExit,
    child::ChildCell,
    read_loop::LoopLink,
    supervise::fault_point,
    sys::{
        pidfd,
        wait::{self, Ended, Which},
    },
};

/// A child that this library spawned, from its spawn to its reaping, and beyond where it led a
/// process group.
#[derive(Debug)]
pub(crate) struct ChildSlot {
    pub(super) cell: Arc<ChildCell>,
    pidfd: AsyncFd<OwnedFd>,
    /// What a hosted child watcher is to tell, as long as it has the child.
    watched: RefCell<Option<oneshot::Receiver<WatchedExit>>>,
    leads_group: bool,
    started: Instant,
    /// The status, as soon as it is reaped: the kernel gives it only once.
    record: OnceCell<ExitRecord>,
    /// The write end, until the record is in it.
    status_pipe: RefCell<Option<OwnedFd>>,
    link: Arc<LoopLink>,
}

impl ChildSlot {
    /// The owner of the child from now on. A hosted child watcher is given its handler, and
    /// otherwise the pidfd tells the end.
    pub(super) fn new(
        adoption: Adoption,
        link: Arc<LoopLink>,
        child_watcher: Option<&HostedWatcher>,
    ) -> Self {
        let Adoption { cell, pidfd, status_pipe, leads_group, started, registering } = adoption;
        let watched = child_watcher.and_then(|watcher| watched_by(watcher, &cell));
        drop(registering);
        ChildSlot {
            cell,
            pidfd,
            watched: RefCell::new(watched),
            leads_group,
            started,
            record: OnceCell::new(),
            status_pipe: RefCell::new(Some(status_pipe)),
            link,
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.cell.pid
    }

    pub(crate) fn id(&self) -> ChildId {
        self.cell.id
    }

    /// Whether the slot is still of use once the child is reaped: its group may live on.
    pub(super) fn leads_group(&self) -> bool {
        self.leads_group
    }

    /// Whether the child's end is still to be reported.
    pub(crate) fn is_unreported(&self) -> bool {
        self.status_pipe.borrow().is_some()
    }

    /// Waits for the end, reaps, reports. Ready once the record is written.
    pub(super) fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_watched(cx));
        if self.record.get().is_some() {
            self.advance();
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut ready = ready!(self.pidfd.poll_read_ready(cx))?;
            if self.advance() {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Takes what a hosted child watcher tells. Ready too where it has let go of the child.
    fn poll_watched(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut watched = self.watched.borrow_mut();
        if let Some(exit) = watched.as_mut() {
            match ready!(Pin::new(exit).poll(cx)) {
                Ok(WatchedExit { status, usage, .. }) => {
                    let wall_time = self.started.elapsed();
                    let record = ExitRecord { child: self.id(), status, usage, wall_time };
                    self.record.get_or_init(|| record);
                }
                Err(_) => tracing::warn!(
                    child = %self.id(),
                    "the child watcher has let go of the child: its waiter waits for it",
                ),
            }
            *watched = None;
        }
        Poll::Ready(())
    }

    /// Waits by the pidfd from now on.
    pub(super) fn forsake_watcher(&self) {
        self.watched.take();
    }

    /// Takes every step that can be taken now, each once. True once the record is written.
    pub(crate) fn advance(&self) -> bool {
        let record = match self.record.get() {
            Some(record) => *record,
            None => match self.reap() {
                Some(record) => *self.record.get_or_init(|| record),
                None => return false,
            },
        };
        fault_point!(WaiterAfterReap);
        if let Some(pipe) = self.status_pipe.take() {
            record.report(&pipe, &self.link);
        }
        true
    }

    /// Reaps the child if it has ended. Peeks first: until it is reaped its PID stays taken.
    fn reap(&self) -> Option<ExitRecord> {
        let child = Which::Pidfd(self.pidfd.get_ref().as_fd());
        let reaped = match wait::peek(child) {
            Ok(None) => return None,
            Ok(Some(_)) => {
                fault_point!(WaiterBeforeReap);
                wait::reap(child)
            }
            Err(error) => Err(error),
        };
        match reaped {
            Ok(ended) => {
                let Ended { status, usage, .. } = ended?;
                let wall_time = self.started.elapsed();
                Some(ExitRecord { child: self.id(), status, usage, wall_time })
            }
            Err(_) => Some(ExitRecord::lost(&self.cell, self.started)),
        }
    }

    /// Sends a signal. After the reaping only a group can still be there.
    pub(super) fn signal(&self, signal: UnixSignal, target: Target) -> Result<(), SignalError> {
        let child = self.id();
        let reaped = self.record.get().is_some();
        let sent = match target {
            Target::Child if reaped => return Err(SignalError::Ended(child)),
            Target::Child => pidfd::signal(&self.pidfd, signal),
            Target::Group if !self.leads_group => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it leads no process group (ProcessGroup::Own)",
            )),
            Target::Group => match pidfd::signal_group(&self.pidfd, signal) {
                // Before Linux 6.9. The number is the child's as long as it is not reaped.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && self.is_ours() => {
                    let group = nix::unistd::Pid::from_raw(self.cell.pid);
                    nix::sys::signal::killpg(group, signal).map_err(io::Error::from)
                }
                sent => sent,
            },
        };
        sent.map_err(|source| match source.raw_os_error() {
            Some(libc::ESRCH) => SignalError::Ended(child),
            _ => SignalError::Refused { child, source },
        })
    }

    /// Whether the child is still to be reaped, so that its number is its own.
    fn is_ours(&self) -> bool {
        wait::peek(Which::Pidfd(self.pidfd.get_ref().as_fd())).is_ok()
    }

    /// Sends signals to the child and whatever it leads, as far as they are there.
    pub(super) fn signal_all(&self, signals: &[UnixSignal]) {
        let target = if self.leads_group { Target::Group } else { Target::Child };
        for &signal in signals {
            match self.signal(signal, target) {
                Ok(()) | Err(SignalError::Ended(_)) => {}
                Err(error) => tracing::warn!(%error, %signal, "a child could not be signalled"),
            }
        }
    }
}

/// Gives the child to a hosted watcher; `None` where that refuses it.
fn watched_by(watcher: &HostedWatcher, cell: &ChildCell) -> Option<oneshot::Receiver<WatchedExit>> {
    let (tell, told) = oneshot::channel();
    let handler = ExitHandler::new(move |exit| {
        // Where nobody takes it, the policy has ended.
        let _ = tell.send(exit);
    });
    match watcher.add(cell.pid, handler) {
        Ok(()) => Some(told),
        Err(error) => {
            tracing::warn!(child = %cell.id, %error, "its waiter waits for the child");
            None
        }
    }
}
