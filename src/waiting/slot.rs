//! `ChildSlot`: the ownership of one child, kept outside the actors so that it outlives a panic.
//!
//! Its steps are the waiter's. The read loop may take one for it where it is awake already and
//! knows that the child is about to end: then the exit does not wait for another thread's wake-up.

use std::{
    any::Any,
    future::Future,
    io,
    os::fd::{AsFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    task::{Context, Poll, ready},
    time::Instant,
};

use nix::sys::signal::Signal as UnixSignal;
use tokio::{io::unix::AsyncFd, sync::oneshot};

use super::{ExitRecord, HostedWatcher, Target};
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
    leads_group: bool,
    started: Instant,
    progress: Mutex<Progress>,
    link: Arc<LoopLink>,
}

/// How far the child has come.
#[derive(Debug)]
struct Progress {
    /// What a hosted child watcher is to tell, as long as it has the child.
    watched: Option<oneshot::Receiver<WatchedExit>>,
    /// The status, as soon as it is reaped: the kernel gives it only once.
    /// Boxed: most children still run.
    record: Option<Box<ExitRecord>>,
    /// The write end, until the record is in it.
    status_pipe: Option<OwnedFd>,
    /// What a step of the read loop's panicked with: the waiter has to answer for it.
    panic: Option<Box<dyn Any + Send>>,
}

impl ChildSlot {
    /// The owner of the child from now on. The pidfd is registered with the reactor of the
    /// watcher's thread.
    pub(crate) fn new(
        cell: Arc<ChildCell>,
        pidfd: AsyncFd<OwnedFd>,
        status_pipe: OwnedFd,
        leads_group: bool,
        started: Instant,
        link: Arc<LoopLink>,
    ) -> Arc<Self> {
        let status_pipe = Some(status_pipe);
        let progress = Progress { watched: None, record: None, status_pipe, panic: None };
        let progress = Mutex::new(progress);
        Arc::new(ChildSlot { cell, pidfd, leads_group, started, progress, link })
    }

    /// Lets a hosted child watcher tell the end, where it takes the child; otherwise the pidfd does.
    pub(super) fn host(&self, watcher: &HostedWatcher) {
        self.progress().watched = watched_by(watcher, &self.cell);
    }

    /// `None` while another thread is at it.
    fn try_progress(&self) -> Option<MutexGuard<'_, Progress>> {
        match self.progress.try_lock() {
            Ok(progress) => Some(progress),
            Err(TryLockError::Poisoned(progress)) => Some(progress.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.progress().status_pipe.is_some()
    }

    /// Waits for the end, reaps, reports. Ready once the record is written.
    pub(super) fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut progress) = self.try_progress() else {
            // The read loop is at it, for some microseconds.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if let Some(panic) = progress.panic.take() {
            resume_unwind(panic);
        }
        ready!(self.poll_watched(&mut progress, cx));
        if progress.record.is_some() {
            self.step(&mut progress);
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut ready = ready!(self.pidfd.poll_read_ready(cx))?;
            if self.step(&mut progress) {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Takes what a hosted child watcher tells. Ready too where it has let go of the child.
    fn poll_watched(&self, progress: &mut Progress, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(exit) = progress.watched.as_mut() {
            match ready!(Pin::new(exit).poll(cx)) {
                Ok(WatchedExit { status, usage, .. }) => {
                    let wall_time = self.started.elapsed();
                    let record = ExitRecord { child: self.id(), status, usage, wall_time };
                    progress.record.get_or_insert_with(|| Box::new(record));
                }
                Err(_) => tracing::warn!(
                    child = %self.id(),
                    "the child watcher has let go of the child: its waiter waits for it",
                ),
            }
            progress.watched = None;
        }
        Poll::Ready(())
    }

    /// Waits by the pidfd from now on.
    pub(super) fn forsake_watcher(&self) {
        self.progress().watched = None;
    }

    /// For the read loop, which never waits: takes the waiter's next step, if it can be taken now.
    /// True once the record is written. A panic of it is the waiter's.
    pub(crate) fn lend_a_hand(&self) -> bool {
        let Some(mut progress) = self.try_progress().filter(|it| it.panic.is_none()) else {
            return false;
        };
        catch_unwind(AssertUnwindSafe(|| self.step(&mut progress))).unwrap_or_else(|panic| {
            progress.panic = Some(panic);
            false
        })
    }

    /// Takes every step that can be taken now, each once. True once the record is written.
    fn step(&self, progress: &mut Progress) -> bool {
        if progress.record.is_none() {
            progress.record = self.reap().map(Box::new);
        }
        let Some(record) = &progress.record else { return false };
        fault_point!(WaiterAfterReap);
        if let Some(pipe) = progress.status_pipe.take() {
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
        // Held to the end: meanwhile nobody reaps the child, and its number stays its own.
        let progress = self.progress();
        let reaped = progress.record.is_some();
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
