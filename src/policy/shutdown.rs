//! The end of a policy: stop intake, TERM, drain, KILL, reap, close, join, in reverse start order.

use std::{
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use actix::{Addr, dev::Request};
use nix::sys::signal::Signal;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    PolicyStopped,
    log::spill::Spiller,
    read_loop::{LoopCommand, Mailbox, Run, StateManager},
    restart::trace,
    spawn::SpawnPool,
    sys::thread_id::ThreadId,
    waiting::{WaiterTable, Watcher},
};

/// A killed child may take this long to end. One in an uninterruptible sleep takes longer, and is
/// left behind with a warning.
const KILLED: Duration = Duration::from_secs(5);

/// The members of a killed group may take this long to end.
const GROUP_KILLED: Duration = Duration::from_millis(500);

/// How often a child that hangs in its exec is killed, until it has ended.
const UNBORN: Duration = Duration::from_millis(10);

/// The read loop's thread may take this long to end after its last message.
const THREAD_ENDS: Duration = Duration::from_secs(1);

/// A stopped process acts on `SIGTERM` only after `SIGCONT`.
const TERMINATE: &[Signal] = &[Signal::SIGTERM, Signal::SIGCONT];
const KILL: &[Signal] = &[Signal::SIGKILL];

/// The longest grace that is used: a longer one could overflow the clock.
const LONGEST_GRACE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

fn after(grace: Duration) -> Instant {
    Instant::now() + grace.min(LONGEST_GRACE)
}

/// A request to end.
#[derive(Debug)]
pub(super) struct StopRequest {
    pub(super) grace: Duration,
    pub(super) reason: PolicyStopped,
}

/// The parts of a running policy, in the order of their start.
pub(super) struct Running {
    pub(super) link: Arc<Mailbox>,
    pub(super) read_loop: ReadLoop,
    pub(super) spiller: Option<Spiller>,
    pub(super) table: Rc<WaiterTable>,
    /// Keeps the watcher running until the end, after its other addresses are dropped.
    pub(super) _watcher: Addr<Watcher>,
    pub(super) spawn_pool: Rc<SpawnPool>,
}

impl Running {
    /// Runs until the policy is asked to end or the read loop gives up; then stops it. If the read
    /// loop gives up, the children get the builder's `grace`.
    pub(super) async fn until_stopped(
        mut self,
        requests: &mut mpsc::UnboundedReceiver<StopRequest>,
        grace: Duration,
    ) -> PolicyStopped {
        let request = tokio::select! {
            Some(request) = requests.recv() => request,
            reason = self.read_loop.ended() => StopRequest { grace, reason },
        };
        self.stop(request, requests).await
    }

    /// All parts share the grace's deadline. Processes killed after it may take a moment to end.
    async fn stop(
        self,
        StopRequest { grace, reason }: StopRequest,
        requests: &mut mpsc::UnboundedReceiver<StopRequest>,
    ) -> PolicyStopped {
        let deadline = after(grace);
        // From here on no child is registered: its spawn thread kills a child that starts late.
        self.table.close_inbox();
        let mut threads = self.spawn_pool.stop();
        self.table.signal_all(TERMINATE);
        let ended = async { tokio::join!(self.births_ended(&mut threads), self.table.emptied()) };
        ended_by(deadline, ended, requests).await;
        self.table.signal_all(KILL);
        let reaped = async { tokio::join!(self.births_ended(&mut threads), self.table.reap_all()) };
        if timeout(KILLED, reaped).await.is_err() {
            let children = self.table.unreported();
            trace::error!(children, "killed, and they do not end");
        }
        if timeout(GROUP_KILLED, self.table.emptied()).await.is_err() {
            trace::warn!("members of a child's process group do not end");
        }
        if threads.is_closed() {
            self.spawn_pool.join();
        } else {
            trace::warn!("a spawn hangs in the kernel; its thread is left behind");
        }
        self.read_loop.finish(&self.link, reason.clone()).await;
        if let Some(spiller) = self.spiller {
            spiller.join();
        }
        reason
    }

    /// Waits until the spawn threads have ended. Kills the children that hold them up.
    async fn births_ended(&self, threads: &mut mpsc::Receiver<()>) {
        loop {
            tokio::select! {
                _ = threads.recv() => return,
                () = sleep(UNBORN) => self.spawn_pool.kill_stuck(),
            }
        }
    }
}

/// Waits until `ended`, or for the grace, which another request can shorten.
async fn ended_by<T>(
    mut deadline: Instant,
    ended: impl Future<Output = T>,
    requests: &mut mpsc::UnboundedReceiver<StopRequest>,
) {
    let mut ended = pin!(ended);
    loop {
        tokio::select! {
            _ = &mut ended => return,
            () = sleep_until(deadline) => return,
            Some(request) = requests.recv() => {
                deadline = deadline.min(after(request.grace));
            }
        }
    }
}

/// The read loop's actor and thread.
pub(super) struct ReadLoop {
    /// The last address: the actor's thread ends when it is dropped.
    pub(super) state_manager: Addr<StateManager>,
    /// The answer to its one message: the reason of its end.
    pub(super) answer: Pin<Box<Request<StateManager, Run>>>,
    /// Closed when the thread has dropped the actor.
    pub(super) thread: mpsc::Receiver<()>,
    pub(super) id: ThreadId,
    pub(super) reason: Option<PolicyStopped>,
}

impl ReadLoop {
    /// Waits until the loop has ended, and returns the reason.
    async fn ended(&mut self) -> PolicyStopped {
        match &self.reason {
            Some(reason) => reason.clone(),
            None => {
                let died = |_| PolicyStopped::DriverFailed("the read loop's thread died".into());
                let reason = self.answer.as_mut().await.unwrap_or_else(died);
                self.reason.insert(reason).clone()
            }
        }
    }

    /// Ends the loop and waits for its thread.
    pub(super) async fn finish(mut self, link: &Mailbox, reason: PolicyStopped) {
        link.push(LoopCommand::Finish(reason));
        let reason = self.ended().await;
        // The loop itself has done this, unless its thread died.
        link.end(&reason);
        drop(self.state_manager);
        let _ = self.thread.recv().await;
        // actix does not join its threads. Until it ends, this thread holds the waker that woke us,
        // and so our runtime's descriptors.
        let deadline = Instant::now() + THREAD_ENDS;
        while self.id.is_alive() && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(50));
        }
    }
}
