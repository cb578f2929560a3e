//! `ChildSlot`: the ownership of one child, kept outside the actors so that it outlives a panic.

use std::{
    cell::{OnceCell, RefCell},
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use nix::sys::signal::Signal as UnixSignal;
use tokio::io::unix::AsyncFd;

use super::{Adoption, ExitRecord, Target};
use crate::{
    ChildId, SignalError, child::ChildCell, read_loop::LoopLink, supervise::fault_point, sys::pidfd,
};

/// A child that this library spawned, from its spawn to its reaping, and beyond where it led a
/// process group.
#[derive(Debug)]
pub(crate) struct ChildSlot {
    pub(super) cell: Arc<ChildCell>,
    pidfd: AsyncFd<OwnedFd>,
    leads_group: bool,
    started: Instant,
    /// The status, as soon as it is reaped: the kernel gives it only once.
    record: OnceCell<ExitRecord>,
    /// The write end, until the record is in it.
    status_pipe: RefCell<Option<OwnedFd>>,
    link: Arc<LoopLink>,
}

impl ChildSlot {
    pub(super) fn new(adoption: Adoption, link: Arc<LoopLink>) -> Self {
        let Adoption { cell, pidfd, status_pipe, leads_group, started } = adoption;
        let status_pipe = RefCell::new(Some(status_pipe));
        ChildSlot { cell, pidfd, leads_group, started, record: OnceCell::new(), status_pipe, link }
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
        loop {
            let mut ready = ready!(self.pidfd.poll_read_ready(cx))?;
            if self.advance() {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
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
        let pidfd = self.pidfd.get_ref().as_fd();
        let reaped = match pidfd::has_ended(pidfd) {
            Ok(false) => return None,
            Ok(true) => {
                fault_point!(WaiterBeforeReap);
                pidfd::reap(pidfd)
            }
            Err(error) => Err(error),
        };
        match reaped {
            Ok(ended) => {
                let (status, usage) = ended?;
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
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && !reaped => {
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
