//! `Mailbox`: what the read loop shares with other threads: its commands, its wake-up, the log.

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
    /// Set when the loop has ended: nothing is queued any more.
    ended: Option<PolicyStopped>,
}

/// Everything by which the read loop is reached. It outlives every panic of the loop.
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

    /// The merged log. Held for as short as it takes to append or to share some turns.
    pub(crate) fn log(&self) -> LockedLog<'_> {
        self.log.lock()
    }

    /// The merged log for a reader that does not hold it.
    pub(crate) fn shared_log(&self) -> &Arc<SharedLog> {
        &self.log
    }

    /// The policy's own arbiter, if it was made on that.
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

    /// Tells the loop of a word in a status pipe, if its driver would find it late by itself.
    pub(crate) fn poll_soon(&self, child: ChildId) {
        if self.needs_poll_soon.load(SeqCst) {
            self.push(LoopCommand::PollSoon(child));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: how it is woken, and whether it wants to be told of a word in a status pipe. Once more if a driver has
    /// failed and another one goes on. No record and no command is found late by that:
    ///
    /// 1. A waiter writes its word into the pipe, and then looks whether to tell.
    /// 2. The loop says here that it wants to be told of a word in a status pipe, and then gives the pipe to the new driver,
    ///    whose first turn looks at every pipe.
    /// 3. If the waiter's look comes before 2, so does its word: that first turn finds it. If it
    ///    comes after, that is queued; it is applied after the whole change, by the same thread.
    /// 4. A command is queued before its sender notifies. If that wakes the old driver, the loop was
    ///    in that driver's turn: it has left it, and looks at the queue before it sleeps again.
    pub(super) fn attach(&self, waker: LoopWaker, needs_poll_soon: bool) {
        self.needs_poll_soon.store(needs_poll_soon, SeqCst);
        self.wake.attach(Some(waker));
    }

    /// For the loop: it is about to look at the log, at the credits and at the commands.
    pub(super) fn run(&self) {
        self.wake.run();
    }

    /// For the loop: the commands that have come.
    pub(super) fn take(&self, into: &mut impl Extend<LoopCommand>) {
        let mut queue = self.queue();
        if !queue.commands.is_empty() {
            into.extend(queue.commands.drain(..));
        }
    }

    /// For the loop: whether it may sleep. From here on a push wakes it, until it runs again.
    pub(super) fn may_sleep(&self) -> bool {
        self.wake.sleep()
    }

    /// For the loop: it ends. What is queued, and what will come, is refused, and nothing of the
    /// driver's stays open for those who hold the mailbox.
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

/// Every handle has one: it tells nothing of what children write or are given.
impl fmt::Debug for Mailbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
