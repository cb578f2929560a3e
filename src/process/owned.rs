//! `Process`: the owner of one child, kept outside the actors so that it outlives a panic.
//!
//! The waiter takes its steps. The read loop may take one itself if it is awake and the child is
//! about to end: then the exit does not wait until another thread wakes.

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
        groups, pidfd, pipe,
        wait::{self, Ended, Which},
    },
    types::ExitRecord,
};

/// A child that this library spawned, from its spawn to its reaping, and longer if it led a process
/// group that still has members.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) cell: Arc<ChildCell>,
    pidfd: AsyncFd<OwnedFd>,
    leads_group: bool,
    /// A child watcher of the user reaps the child.
    hosted: bool,
    started: Instant,
    progress: Mutex<Progress>,
    /// Tells the read loop that the record exists, if its driver would notice the status pipe late.
    poll_soon: PollSoon,
}

/// The child's progress.
#[derive(Debug)]
struct Progress {
    /// The exit that a hosted watcher will send, as long as it watches the child.
    watched: Option<oneshot::Receiver<WatchedExit>>,
    /// The status, once reaped: the kernel returns it only once.
    /// Boxed: most children still run.
    record: Option<Box<ExitRecord>>,
    /// The write end, until the read loop is notified.
    status_pipe: Option<OwnedFd>,
    /// The panic of a step that the read loop took: the waiter resumes it.
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

/// What a `Process` owns from the spawn on.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(crate) pidfd: AsyncFd<OwnedFd>,
    pub(crate) status_pipe: OwnedFd,
    pub(crate) leads_group: bool,
    pub(crate) hosted: bool,
    pub(crate) started: Instant,
}

impl Process {
    /// The child's owner from now on. The pidfd is registered with the reactor of the waiter's
    /// thread.
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

    /// Lets a hosted watcher report the exit. If it refuses the child, the pidfd reports it.
    pub(crate) fn host(&self, watcher: &HostedWatcher) {
        let watched = watched_by(watcher, &self.cell);
        self.progress().watched = watched;
    }

    /// `None` while another thread holds the lock.
    fn try_progress(&self) -> Option<MutexGuard<'_, Progress>> {
        match self.progress.try_lock() {
            Ok(progress) => Some(progress),
            Err(TryLockError::Poisoned(progress)) => Some(progress.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Held for some system calls that never wait. No notification is sent under it.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.cell.pid
    }

    pub(crate) fn id(&self) -> ChildId {
        self.cell.id
    }

    /// Whether the child's exit has not been reported yet.
    pub(crate) fn is_unreported(&self) -> bool {
        self.progress().status_pipe.is_some()
    }

    /// The exit record, once the child is reaped.
    pub(crate) fn record(&self) -> Option<ExitRecord> {
        self.progress().record.as_deref().copied()
    }

    /// Waits for the exit, reaps, and reports. Ready once the read loop has been notified.
    ///
    /// # Errors
    ///
    /// The kernel's error if it cannot report the child's state; the next call tries again.
    pub(crate) fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut progress) = self.try_progress() else {
            // The read loop is taking a step, for some microseconds.
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
            // A failed write does not matter: dropping the pipe tells the read loop too.
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

    /// Takes the hosted watcher's report. True if the watcher dropped the child without a report.
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

    /// From now on the pidfd alone reports the exit.
    pub(crate) fn stop_watching(&self) {
        self.progress().watched = None;
    }

    /// For the read loop, which never waits: takes the waiter's next step if it can. Returns true
    /// once the record exists. The waiter resumes a panic of the step.
    pub(crate) fn try_reap(&self) -> bool {
        if self.hosted {
            return false;
        }
        let Some(mut progress) = self.try_progress().filter(|it| it.panic.is_none()) else {
            return false;
        };
        match catch_unwind(AssertUnwindSafe(|| self.step(&mut progress))) {
            Ok(step) => {
                // The read loop itself needs no notification.
                drop(take_if_recorded(&mut progress));
                step.unwrap_or(false)
            }
            Err(panic) => {
                progress.panic = Some(panic);
                false
            }
        }
    }

    /// Reaps the child if it has ended and is not reaped yet. Returns true once the record exists.
    fn step(&self, progress: &mut Progress) -> io::Result<bool> {
        if progress.record.is_none() {
            progress.record = self.reap()?.map(Box::new);
        }
        if progress.record.is_some() {
            fault_point!(WaiterAfterReap);
        }
        Ok(progress.record.is_some())
    }

    /// Reaps the child if it has ended. Peeks first: its PID stays taken until it is reaped.
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

    /// Sends a signal. After the child is reaped, only its group can receive one.
    pub(crate) fn signal(&self, signal: Signal, target: Target) -> Result<(), SignalError> {
        let child = self.id();
        // Held to the end, so that no other thread reaps the child and frees its PID.
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
                // No signal follows a KILL: a child that may change groups is sent it twice.
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
            // Before Linux 6.9. The PID is the child's until it is reaped.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && self.is_ours() => {
                Ok(nix::sys::signal::killpg(Pid::from_raw(self.pid()), signal)?)
            }
            sent => sent,
        }
    }

    /// Whether the child, not yet reaped, is in its own group. It may leave at any time; a signal
    /// that misses it because of that is made good by the next one.
    fn is_in_its_group(&self) -> bool {
        let pid = Pid::from_raw(self.pid());
        nix::unistd::getpgid(Some(pid)) == Ok(pid)
    }

    /// Whether the child is still to be reaped, so that the PID is still its own.
    fn is_ours(&self) -> bool {
        wait::peek(Which::Pidfd(self.pidfd.get_ref().as_fd())).is_ok()
    }

    /// Whether the group that the child leads or led has members (zombies count).
    pub(crate) fn has_group(&self) -> bool {
        // Before Linux 6.9 this cannot be known once the child is reaped.
        self.leads_group && pidfd::probe_group(&self.pidfd).unwrap_or(false)
    }

    /// Whether that group has a member that is no zombie. If `/proc` cannot tell, zombies count.
    pub(crate) fn has_live_group(&self) -> bool {
        self.has_group() && groups::alive().map_or(true, |alive| alive.contains(&self.pid()))
    }

    /// Sends signals to the child and the group that it leads, if they still exist.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        let target = if self.leads_group { Target::Group } else { Target::Child };
        for &signal in signals {
            match self.signal(signal, target) {
                Ok(()) | Err(SignalError::Ended(_)) => {}
                Err(error) => trace::warn!(%error, %signal, "a child could not be signalled"),
            }
        }
    }

    /// Kills the child and its group, and reaps it: for a child that no waiter has.
    pub(crate) fn discard(&self) {
        self.signal_all(&[Signal::SIGKILL]);
        wait::discard(&self.pidfd);
    }
}

/// Takes the status pipe, once, if the record exists.
fn take_if_recorded(progress: &mut Progress) -> Option<OwnedFd> {
    progress.record.as_ref()?;
    progress.status_pipe.take()
}

/// Passes the child to a hosted watcher. Returns `None` if the watcher refuses it.
fn watched_by(watcher: &HostedWatcher, cell: &ChildCell) -> Option<oneshot::Receiver<WatchedExit>> {
    let (tell, told) = oneshot::channel();
    let handler = ExitHandler::new(move |exit| {
        // The send fails only if the policy has ended. The waker is our own waiter's.
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

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::Waker,
    };

    use rustix::process::{Pid as RawPid, PidfdFlags, pidfd_open};

    use super::*;
    use crate::{
        asyncio::{ChildWatcher, EventLoop, WatchError},
        sys::{pipe::pair_for_a_record, readiness},
    };

    /// Needs no child: the pidfd is this process's own, which is no child of this process.
    struct Bench {
        process: Arc<Process>,
        word: std::fs::File,
        told: Arc<AtomicUsize>,
    }

    fn bench(hosted: bool, leads_group: bool) -> Bench {
        let own = RawPid::from_raw(std::process::id().cast_signed()).unwrap();
        let pidfd = readiness::watch(pidfd_open(own, PidfdFlags::empty()).unwrap()).unwrap();
        let (word, status_pipe) = pair_for_a_record().unwrap();
        let told = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&told);
        let poll_soon = PollSoon(Arc::new(move |_| {
            count.fetch_add(1, SeqCst);
        }));
        let cell = ChildCell::new(ChildId(7), 4_000_000, "program".into(), None);
        let started = Instant::now();
        let owned = Ownership { pidfd, status_pipe, leads_group, hosted, started };
        Bench { process: Process::new(cell, owned, poll_soon), word: word.into(), told }
    }

    /// What the status pipe held, to its end.
    fn words(bench: &mut Bench) -> Vec<u8> {
        let mut words = Vec::new();
        bench.word.read_to_end(&mut words).unwrap();
        words
    }

    fn poll(process: &Process) -> Poll<io::Result<()>> {
        process.poll_reported(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn what_something_else_reaped_is_lost_and_reported_once() {
        let mut bench = bench(false, false);
        assert!(bench.process.is_unreported());
        assert!(matches!(poll(&bench.process), Poll::Pending), "it has not ended");
        assert!(bench.process.try_reap());
        assert_eq!(bench.process.record().unwrap().status, ExitStatus::Lost);
        assert!(!bench.process.is_unreported());
        // The read loop took the step: it needs neither a word nor a message.
        assert!(matches!(poll(&bench.process), Poll::Ready(Ok(()))));
        assert_eq!((words(&mut bench), bench.told.load(SeqCst)), (vec![], 0));
    }

    #[tokio::test]
    async fn nothing_is_signalled_after_the_record() {
        let bench = bench(false, false);
        assert!(bench.process.try_reap());
        let ended = bench.process.signal(Signal::SIGKILL, Target::Child);
        assert!(matches!(ended, Err(SignalError::Ended(ChildId(7)))), "{ended:?}");
        let no_group = bench.process.signal(Signal::SIGKILL, Target::Group);
        assert!(matches!(no_group, Err(SignalError::Refused { .. })), "{no_group:?}");
        assert!(!bench.process.has_live_group());
    }

    /// Keeps the handler of the one child that it is given.
    #[derive(Debug, Default)]
    struct Keeps(Mutex<Option<ExitHandler>>);

    impl ChildWatcher for Keeps {
        fn add_child_handler(&self, _: i32, handler: ExitHandler) -> Result<(), WatchError> {
            *self.0.lock().unwrap() = Some(handler);
            Ok(())
        }

        fn remove_child_handler(&self, _: i32) -> bool {
            self.0.lock().unwrap().take().is_some()
        }

        fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
            Ok(())
        }

        fn is_active(&self) -> bool {
            true
        }

        fn close(&self) {}
    }

    #[tokio::test]
    async fn what_a_hosted_watcher_tells_is_the_status_and_the_loop_takes_no_step_before() {
        let mut bench = bench(true, false);
        let watcher = Arc::new(Keeps::default());
        bench.process.host(&HostedWatcher::new(Arc::clone(&watcher) as Arc<dyn ChildWatcher>));
        assert!(!bench.process.try_reap());
        assert!(matches!(poll(&bench.process), Poll::Pending));
        let handler = watcher.0.lock().unwrap().take().unwrap();
        handler.call(WatchedExit {
            pid: 4_000_000,
            status: ExitStatus::Code(5),
            usage: ResourceUsage::default(),
        });
        assert!(matches!(poll(&bench.process), Poll::Ready(Ok(()))));
        assert!(matches!(poll(&bench.process), Poll::Ready(Ok(()))), "and again");
        assert_eq!(bench.process.record().unwrap().status, ExitStatus::Code(5));
        assert_eq!((words(&mut bench), bench.told.load(SeqCst)), (vec![1], 1));
    }

    #[tokio::test]
    async fn a_watcher_that_lets_go_of_the_child_leaves_it_to_the_pidfd() {
        let bench = bench(true, false);
        let watcher = Arc::new(Keeps::default());
        bench.process.host(&HostedWatcher::new(Arc::clone(&watcher) as Arc<dyn ChildWatcher>));
        drop(watcher.0.lock().unwrap().take());
        assert!(matches!(poll(&bench.process), Poll::Pending), "it waits by the pidfd now");
        assert!(bench.process.is_unreported());
    }
}
