//! The end of a policy: stop intake, TERM, drain, KILL, reap, close, join, in reverse start order.

use std::{
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use actix::{Addr, dev::Request};
use crossbeam_channel::Sender;
use nix::sys::signal::Signal as UnixSignal;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    PolicyStopped,
    read_loop::{LoopCommand, LoopLink, Run, StateManager},
    spawn::Job,
    spill::Spiller,
    waiting::{WaiterTable, Watcher},
};

/// A child that was killed may take this long to go (one in an uninterruptible sleep takes longer,
/// and is left, with a warning).
const KILLED: Duration = Duration::from_secs(5);

/// The members of a killed child's group may take this long to let go of its pipes.
const GROUP_KILLED: Duration = Duration::from_millis(200);

/// A stopped child acts on `SIGTERM` only when it is continued.
const TERMINATE: &[UnixSignal] = &[UnixSignal::SIGTERM, UnixSignal::SIGCONT];
const KILL: &[UnixSignal] = &[UnixSignal::SIGKILL];

/// A grace may be as long as a duration can be: nobody waits for more than this.
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

/// The parts of a running policy, in the order in which they were started.
pub(super) struct Running {
    pub(super) link: Arc<LoopLink>,
    pub(super) read_loop: ReadLoop,
    pub(super) spiller: Option<Spiller>,
    pub(super) table: Rc<WaiterTable>,
    /// Keeps the watcher at work until the end, when nobody else has its address any more.
    pub(super) _watcher: Addr<Watcher>,
    pub(super) spawn_jobs: Sender<Job>,
    pub(super) spawn_threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Lets the policy run until it is asked to end, or the read loop gives up, which leaves the
    /// children the builder's `grace`; and ends it.
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

    async fn stop(
        self,
        StopRequest { grace, reason }: StopRequest,
        requests: &mut mpsc::UnboundedReceiver<StopRequest>,
    ) -> PolicyStopped {
        let deadline = after(grace);
        let intake_stopped = self.stop_intake(grace).await;
        self.table.signal_all(TERMINATE);
        self.ended_by(deadline, requests).await;
        self.table.signal_all(KILL);
        if timeout(KILLED, self.table.reap_all()).await.is_err() {
            tracing::error!(children = self.table.unreported(), "killed, and they do not end");
        }
        // Where they stay, a descendant has left its group and holds a pipe.
        let _ = timeout(GROUP_KILLED, self.table.emptied()).await;
        if intake_stopped {
            for thread in self.spawn_threads {
                if thread.join().is_err() {
                    tracing::error!("a spawn thread panicked");
                }
            }
        }
        self.read_loop.finish(&self.link, reason.clone()).await;
        if let Some(spiller) = self.spiller {
            spiller.join();
        }
        reason
    }

    /// Refuses what is queued and waits for the spawns under way. False where one hangs in the
    /// kernel.
    async fn stop_intake(&self, grace: Duration) -> bool {
        let (stopped, mut ended) = mpsc::channel::<()>(1);
        for _ in &self.spawn_threads {
            // Where nobody takes the job, the threads have ended.
            let _ = self.spawn_jobs.send(Job::Stop(stopped.clone()));
        }
        drop(stopped);
        let ended = timeout(grace.max(KILLED), ended.recv()).await.is_ok();
        if !ended {
            tracing::warn!("a spawn hangs; its thread is left behind");
        }
        ended
    }

    /// Waits until every child and every group has ended, or for the grace, which another request
    /// can shorten.
    async fn ended_by(
        &self,
        mut deadline: Instant,
        requests: &mut mpsc::UnboundedReceiver<StopRequest>,
    ) {
        let mut emptied = pin!(self.table.emptied());
        loop {
            tokio::select! {
                () = &mut emptied => return,
                () = sleep_until(deadline) => return,
                Some(request) = requests.recv() => {
                    deadline = deadline.min(after(request.grace));
                }
            }
        }
    }
}

/// The read loop's actor and thread.
pub(super) struct ReadLoop {
    /// The last address: the actor's thread ends with it.
    pub(super) state_manager: Addr<StateManager>,
    /// The answer to its one message: why it ended.
    pub(super) answer: Pin<Box<Request<StateManager, Run>>>,
    /// Closed when the thread has let go of the actor.
    pub(super) thread: mpsc::Receiver<()>,
    pub(super) reason: Option<PolicyStopped>,
}

impl ReadLoop {
    /// Waits until the loop has ended, and says why.
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
    pub(super) async fn finish(mut self, link: &LoopLink, reason: PolicyStopped) {
        link.push(LoopCommand::Finish(reason));
        let reason = self.ended().await;
        // The loop has done this itself, unless its thread died.
        link.end(&reason);
        drop(self.state_manager);
        let _ = self.thread.recv().await;
    }
}
