//! `Process`: the ownership of one child, kept outside the actors so that it outlives a panic.
//!
//! Its steps are the waiter's. The read loop may take one for it if it is awake already and knows
//! that the child is about to end: then the exit does not wait for another thread's wake-up.

use std::{
    any::Any,
    fmt,
    future::Future,
    io,
    os::fd::{AsFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    task::{Context, Poll, ready},
    time::Instant,
};

use nix::{sys::signal::Signal, unistd::Pid};
use tokio::{io::unix::AsyncFd, sync::oneshot};

use super::{HostedWatcher, Target};
use crate::{
    ChildId, ExitStatus, ResourceUsage, SignalError,
    asyncio::{ExitHandler, WatchedExit},
    cell::ChildCell,
    restart::{contain, fault_point, trace},
    sys::{
        pidfd, pipe,
        wait::{self, Ended, Which},
    },
    types::ExitRecord,
};

/// A child that this library spawned, from its spawn to its reaping, and beyond if it led a process
/// group that still has members.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) cell: Arc<ChildCell>,
    pidfd: AsyncFd<OwnedFd>,
    leads_group: bool,
    /// A child watcher of the user's reaps the child.
    hosted: bool,
    started: Instant,
    progress: Mutex<Progress>,
    /// Tells the read loop that the record is there, if its driver would find the status pipe's
    /// word late.
    poll_soon: PollSoon,
}

/// How far the child has come.
#[derive(Debug)]
struct Progress {
    /// What a hosted child watcher is to tell, as long as it has the child.
    watched: Option<oneshot::Receiver<WatchedExit>>,
    /// The status, as soon as it is reaped: the kernel gives it only once.
    /// Boxed: most children still run.
    record: Option<Box<ExitRecord>>,
    /// The write end, until the read loop is told.
    status_pipe: Option<OwnedFd>,
    /// What a step of the read loop's panicked with: the waiter has to answer for it.
    panic: Option<Box<dyn Any + Send>>,
}

/// Shared by all processes of a policy.
#[derive(Clone)]
pub(crate) struct PollSoon(pub(crate) Arc<dyn Fn(ChildId) + Send + Sync>);

impl fmt::Debug for PollSoon {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PollSoon").finish_non_exhaustive()
    }
}

/// What a child is owned by from its spawn on.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(crate) pidfd: AsyncFd<OwnedFd>,
    pub(crate) status_pipe: OwnedFd,
    pub(crate) leads_group: bool,
    pub(crate) hosted: bool,
    pub(crate) started: Instant,
}

impl Process {
    /// The owner of the child from now on. The pidfd is registered with the reactor of the
    /// watcher's thread.
    pub(crate) fn new(
        cell: Arc<ChildCell>,
        ownership: Ownership,
        poll_soon: PollSoon,
    ) -> Arc<Self> {
        let Ownership { pidfd, status_pipe, leads_group, hosted, started } = ownership;
        let status_pipe = Some(status_pipe);
        let progress = Progress { watched: None, record: None, status_pipe, panic: None };
        let progress = Mutex::new(progress);
        Arc::new(Process { cell, pidfd, leads_group, hosted, started, progress, poll_soon })
    }

    /// Lets a hosted child watcher tell the end, if it takes the child; otherwise the pidfd does.
    pub(crate) fn host(&self, watcher: &HostedWatcher) {
        let watched = watched_by(watcher, &self.cell);
        self.progress().watched = watched;
    }

    /// `None` while another thread is at it.
    fn try_progress(&self) -> Option<MutexGuard<'_, Progress>> {
        match self.progress.try_lock() {
            Ok(progress) => Some(progress),
            Err(TryLockError::Poisoned(progress)) => Some(progress.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Held for some system calls that never wait; nothing is told under it.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.cell.pid
    }

    pub(crate) fn id(&self) -> ChildId {
        self.cell.id
    }

    /// Whether the child's end is still to be reported.
    pub(crate) fn is_unreported(&self) -> bool {
        self.progress().status_pipe.is_some()
    }

    /// What is known of the exit, once the child is reaped.
    pub(crate) fn record(&self) -> Option<ExitRecord> {
        self.progress().record.as_deref().copied()
    }

    /// Waits for the end, reaps, reports. Ready once the read loop is told.
    ///
    /// # Errors
    ///
    /// What the kernel says if the child cannot be asked after; the next call tries again.
    pub(crate) fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut progress) = self.try_progress() else {
            // The read loop is at it, for some microseconds.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if let Some(panic) = progress.panic.take() {
            drop(progress);
            resume_unwind(panic);
        }
        let was_let_go = ready!(self.poll_watched(&mut progress, cx));
        let polled = self.poll_step(&mut progress, cx);
        let status_pipe = take_if_recorded(&mut progress);
        // The write wakes the read loop, which takes this lock.
        drop(progress);
        if let Some(status_pipe) = status_pipe {
            // If it cannot be written, its end tells the same: the drop is what counts.
            let _ = pipe::write_now(&status_pipe, &[1]);
            drop(status_pipe);
            (self.poll_soon.0)(self.id());
        }
        if was_let_go {
            trace::warn!(
                child = %self.id(),
                "the child watcher has let go of the child: its waiter waits for it",
            );
        }
        polled
    }

    fn poll_step(&self, progress: &mut Progress, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if progress.record.is_some() {
            return Poll::Ready(self.step(progress).map(|_| ()));
        }
        loop {
            let mut ready = ready!(self.pidfd.poll_read_ready(cx))?;
            if self.step(progress)? {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Takes what a hosted child watcher tells. True if it has let go of the child without a word.
    fn poll_watched(&self, progress: &mut Progress, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(exit) = progress.watched.as_mut() else { return Poll::Ready(false) };
        let told = ready!(Pin::new(exit).poll(cx));
        progress.watched = None;
        let was_let_go = told.is_err();
        if let Ok(WatchedExit { status, usage, .. }) = told {
            progress.record.get_or_insert_with(|| Box::new(self.ended_with(status, usage)));
        }
        Poll::Ready(was_let_go)
    }

    fn ended_with(&self, status: ExitStatus, usage: ResourceUsage) -> ExitRecord {
        ExitRecord { child: self.id(), status, usage, wall_time: self.started.elapsed() }
    }

    /// Waits by the pidfd from now on.
    pub(crate) fn stop_watching(&self) {
        self.progress().watched = None;
    }

    /// For the read loop, which never waits: takes the waiter's next step, if it can be taken now.
    /// True once the record is there. A panic of it is the waiter's.
    pub(crate) fn try_reap(&self) -> bool {
        if self.hosted {
            return false;
        }
        let Some(mut progress) = self.try_progress().filter(|it| it.panic.is_none()) else {
            return false;
        };
        match catch_unwind(AssertUnwindSafe(|| self.step(&mut progress))) {
            Ok(step) => {
                // The read loop knows it by now.
                drop(take_if_recorded(&mut progress));
                step.unwrap_or(false)
            }
            Err(panic) => {
                progress.panic = Some(panic);
                false
            }
        }
    }

    /// Reaps the child if it has ended and is not reaped yet. True once the record is there.
    fn step(&self, progress: &mut Progress) -> io::Result<bool> {
        if progress.record.is_none() {
            progress.record = self.reap()?.map(Box::new);
        }
        if progress.record.is_some() {
            fault_point!(WaiterAfterReap);
        }
        Ok(progress.record.is_some())
    }

    /// Reaps the child if it has ended. Peeks first: until it is reaped its PID stays taken.
    fn reap(&self) -> io::Result<Option<ExitRecord>> {
        let child = Which::Pidfd(self.pidfd.get_ref().as_fd());
        let reaped = match wait::peek(child) {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {
                fault_point!(WaiterBeforeReap);
                wait::reap(child)
            }
            Err(error) => Err(error),
        };
        match reaped {
            Ok(ended) => {
                Ok(ended.map(|Ended { status, usage, .. }| self.ended_with(status, usage)))
            }
            Err(error) if wait::is_gone(&error) => {
                Ok(Some(self.ended_with(ExitStatus::Lost, ResourceUsage::default())))
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a signal. After the reaping only a group can still be there.
    pub(crate) fn signal(&self, signal: Signal, target: Target) -> Result<(), SignalError> {
        let child = self.id();
        // Held to the end: meanwhile nothing of ours reaps the child, and its number stays its own.
        let progress = self.progress();
        let reaped = progress.record.is_some();
        let sent = match target {
            Target::Child if reaped => return Err(SignalError::Ended(child)),
            Target::Child => pidfd::signal(&self.pidfd, signal),
            Target::Group if !self.leads_group => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it leads no process group (ProcessGroup::Own)",
            )),
            Target::Group => {
                let group = self.signal_group(signal);
                // There is no next signal after a KILL: a child that comes and goes gets it twice.
                if reaped || (signal != Signal::SIGKILL && self.is_in_its_group()) {
                    group
                } else {
                    let left = pidfd::signal(&self.pidfd, signal);
                    group.or(left)
                }
            }
        };
        drop(progress);
        sent.map_err(|source| match source.raw_os_error() {
            Some(libc::ESRCH) => SignalError::Ended(child),
            _ => SignalError::Refused { child, source },
        })
    }

    fn signal_group(&self, signal: Signal) -> io::Result<()> {
        match pidfd::signal_group(&self.pidfd, signal) {
            // Before Linux 6.9. The number is the child's as long as it is not reaped.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && self.is_ours() => {
                Ok(nix::sys::signal::killpg(Pid::from_raw(self.pid()), signal)?)
            }
            sent => sent,
        }
    }

    /// Whether the child, which is not reaped, is in the group that it was given. It may leave that
    /// at any time; what it did not get then, it gets by the next signal.
    fn is_in_its_group(&self) -> bool {
        let pid = Pid::from_raw(self.pid());
        nix::unistd::getpgid(Some(pid)) == Ok(pid)
    }

    /// Whether the child is still to be reaped, so that its number is its own.
    fn is_ours(&self) -> bool {
        wait::peek(Which::Pidfd(self.pidfd.get_ref().as_fd())).is_ok()
    }

    /// Whether the group that the child leads or led has members, zombies among them.
    pub(crate) fn has_group(&self) -> bool {
        // Before Linux 6.9 that cannot be known once the child is reaped.
        self.leads_group && pidfd::probe_group(&self.pidfd).unwrap_or(false)
    }

    /// Sends signals to the child and the group that it leads, as far as they are there.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        let target = if self.leads_group { Target::Group } else { Target::Child };
        for &signal in signals {
            match self.signal(signal, target) {
                Ok(()) | Err(SignalError::Ended(_)) => {}
                Err(error) => trace::warn!(%error, %signal, "a child could not be signalled"),
            }
        }
    }

    /// Kills the child and its group, and reaps it: for one that no waiter has.
    pub(crate) fn discard(&self) {
        self.signal_all(&[Signal::SIGKILL]);
        wait::discard(&self.pidfd);
    }
}

/// The status pipe, once, when the record is there.
fn take_if_recorded(progress: &mut Progress) -> Option<OwnedFd> {
    progress.record.as_ref()?;
    progress.status_pipe.take()
}

/// Gives the child to a hosted watcher; `None` if that refuses it.
fn watched_by(watcher: &HostedWatcher, cell: &ChildCell) -> Option<oneshot::Receiver<WatchedExit>> {
    let (tell, told) = oneshot::channel();
    let handler = ExitHandler::new(move |exit| {
        // If it is not taken, the policy has ended. The waker is our own waiter's.
        let _ = contain("the waker of a waiter", || tell.send(exit));
    });
    match watcher.add(cell.pid, handler) {
        Ok(()) => Some(told),
        Err(error) => {
            trace::warn!(child = %cell.id, %error, "its waiter waits for the child");
            None
        }
    }
}
