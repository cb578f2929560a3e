//! `Mailbox`: what the read loop shares with other threads: its commands, its waker, the log.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use actix::ArbiterHandle;

use super::LoopCommand;
use crate::{
    ChildId, Overflow, PolicyStopped,
    log::{LockedLog, SharedLog},
    pipes::{LoopWake, LoopWaker},
    subscribe::host_arbiter,
};

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<LoopCommand>,
    /// Set when the loop has ended: no more commands are queued.
    ended: Option<PolicyStopped>,
}

/// How other threads reach the read loop. It outlives every panic of the loop.
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    wake: Arc<LoopWake>,
    needs_poll_soon: AtomicBool,
    log: Arc<SharedLog>,
    /// The policy's own arbiter.
    host: Option<ArbiterHandle>,
}

impl Mailbox {
    pub(crate) fn new(bound: u64, overflow: Overflow) -> Self {
        let wake = Arc::new(LoopWake::new());
        Mailbox {
            queue: Mutex::default(),
            needs_poll_soon: AtomicBool::new(false),
            log: Arc::new(SharedLog::new(bound, overflow, Arc::clone(&wake))),
            wake,
            host: host_arbiter(),
        }
    }

    /// The merged log, locked only as long as it takes to append or to share some turns.
    pub(crate) fn log(&self) -> LockedLog<'_> {
        self.log.lock()
    }

    /// The merged log, for a reader that does not keep it locked.
    pub(crate) fn shared_log(&self) -> &Arc<SharedLog> {
        &self.log
    }

    /// The policy's own arbiter, if the policy was started on one.
    pub(crate) fn host(&self) -> Option<&ArbiterHandle> {
        self.host.as_ref()
    }

    /// Queues a command and wakes the loop if it sleeps.
    pub(crate) fn push(&self, command: LoopCommand) {
        {
            let mut queue = self.queue();
            if let Some(reason) = queue.ended.clone() {
                drop(queue);
                return command.refuse(&reason);
            }
            queue.commands.push(command);
        }
        self.wake.notify();
    }

    /// Tells the loop that a status pipe was written to, if its driver would notice it late.
    pub(crate) fn poll_soon(&self, child: ChildId) {
        if self.needs_poll_soon.load(SeqCst) {
            self.push(LoopCommand::PollSoon(child));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: sets its waker and `needs_poll_soon`, at the start and after each change of
    /// drivers. A change delays no record and no command:
    ///
    /// 1. A waiter writes to the status pipe, and then reads `needs_poll_soon`.
    /// 2. The loop sets `needs_poll_soon` here, and then adds the pipe to the new driver, whose
    ///    first turn reads every pipe.
    /// 3. If the waiter reads before 2, it has also written before 2, and that first turn finds it.
    ///    If it reads after 2, it queues a command, which the same thread applies after the change.
    /// 4. A sender queues its command, and then notifies. If it wakes the old driver, the loop was
    ///    in that driver's turn. It has left it, and looks at the queue before it sleeps again.
    pub(super) fn attach(&self, waker: LoopWaker, needs_poll_soon: bool) {
        self.needs_poll_soon.store(needs_poll_soon, SeqCst);
        self.wake.attach(Some(waker));
    }

    /// For the loop: called before it looks at the log, the credits and the commands.
    pub(super) fn run(&self) {
        self.wake.run();
    }

    /// For the loop: moves the queued commands out.
    pub(super) fn take(&self, into: &mut impl Extend<LoopCommand>) {
        let mut queue = self.queue();
        if !queue.commands.is_empty() {
            into.extend(queue.commands.drain(..));
        }
    }

    /// For the loop: whether it may sleep. From here until `run`, a push wakes it.
    pub(super) fn may_sleep(&self) -> bool {
        self.wake.sleep()
    }

    /// For the loop: it ends. Refuses queued and later commands, and drops the driver's waker, so
    /// that no descriptor of the driver stays open as long as the mailbox.
    pub(crate) fn end(&self, reason: &PolicyStopped) {
        self.log().finish();
        let refused = {
            let mut queue = self.queue();
            queue.ended = Some(reason.clone());
            std::mem::take(&mut queue.commands)
        };
        refused.into_iter().for_each(|command| command.refuse(reason));
        self.wake.attach(None);
    }
}

/// Shows nothing of the children's data, since every handle holds a mailbox.
impl fmt::Debug for Mailbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
