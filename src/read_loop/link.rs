//! `LoopLink`: what the read loop shares with other threads: its command queue, its waker, the log.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use actix::ArbiterHandle;

use super::LoopCommand;
use crate::{
    Overflow, PolicyStopped,
    log::{LockedLog, SharedLog},
    pipes::LoopWaker,
    subscribe::host_arbiter,
};

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<LoopCommand>,
    /// Set when the loop has ended: nothing is queued any more.
    ended: Option<PolicyStopped>,
}

/// Everything by which the read loop is reached. It outlives every panic of the loop.
pub(crate) struct LoopLink {
    queue: Mutex<Queue>,
    sleeping: AtomicBool,
    waits_for_room: AtomicBool,
    needs_nudge: AtomicBool,
    waker: Mutex<Option<LoopWaker>>,
    log: SharedLog,
    /// The policy's own arbiter.
    host: Option<ArbiterHandle>,
}

impl LoopLink {
    pub(crate) fn new(bound: u64, overflow: Overflow) -> Self {
        LoopLink {
            queue: Mutex::default(),
            sleeping: AtomicBool::new(false),
            waits_for_room: AtomicBool::new(false),
            needs_nudge: AtomicBool::new(false),
            waker: Mutex::default(),
            log: SharedLog::new(bound, overflow),
            host: host_arbiter(),
        }
    }

    /// The merged log. Held for as short as it takes to append or to share some turns.
    pub(crate) fn log(&self) -> LockedLog<'_> {
        self.log.lock()
    }

    /// The merged log for who reads it without holding it.
    pub(crate) fn shared_log(&self) -> &SharedLog {
        &self.log
    }

    /// The policy's own arbiter, where it was made on that.
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
        // The loop says that it sleeps and then looks at the queue once more; we queue and then
        // look whether it sleeps. In one total order, one of the two sees the other.
        if self.sleeping.swap(false, SeqCst) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// After a reader moved on: wakes the loop if it waits for room.
    pub(crate) fn room_changed(&self) {
        if self.waits_for_room.load(SeqCst) {
            self.push(LoopCommand::Room);
        }
    }

    /// Tells the loop of a record in a status pipe, if its driver would find it late by itself.
    pub(crate) fn nudge(&self, child: crate::ChildId) {
        if self.needs_nudge.load(SeqCst) {
            self.push(LoopCommand::Nudge(child));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: how it is woken, and whether it wants to be nudged. Once more where a driver
    /// has failed and another one goes on. No record and no command is found late by that:
    ///
    /// 1. A waiter writes its record into the pipe, and then looks whether to nudge.
    /// 2. The loop says here that it wants to be nudged, and then gives the pipe to the new driver,
    ///    whose first turn looks at every pipe.
    /// 3. If the waiter's look comes before 2, so does its record: that first turn finds it. If it
    ///    comes after, a nudge is queued; it is applied after the whole change, by the same thread.
    /// 4. A command is queued before its sender looks whether the loop sleeps. If the sender wakes
    ///    the old driver, the loop was in that driver's turn: it has left it and, before it sleeps
    ///    again, looks at the queue.
    pub(super) fn attach(&self, waker: LoopWaker, needs_nudge: bool) {
        self.needs_nudge.store(needs_nudge, SeqCst);
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    /// For the loop: the commands that have come.
    pub(super) fn take(&self, into: &mut impl Extend<LoopCommand>) {
        let mut queue = self.queue();
        if !queue.commands.is_empty() {
            into.extend(queue.commands.drain(..));
        }
    }

    /// For the loop: it ends. What is queued, and what will come, is refused, and nothing of the
    /// driver's stays open for those who hold the link.
    pub(crate) fn end(&self, reason: &PolicyStopped) {
        self.log().finish();
        let refused = {
            let mut queue = self.queue();
            queue.ended = Some(reason.clone());
            std::mem::take(&mut queue.commands)
        };
        refused.into_iter().for_each(|command| command.refuse(reason));
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// For the loop: whether it may sleep. From here on a push wakes it, until `awake`.
    pub(super) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, SeqCst);
        let idle = self.queue().commands.is_empty();
        if !idle {
            self.awake();
        }
        idle
    }

    /// For the loop: it runs, nobody needs to wake it.
    pub(super) fn awake(&self) {
        self.sleeping.store(false, SeqCst);
    }

    /// For the loop: whether it is to be woken when a reader moves on. Gives it back.
    pub(super) fn wait_for_room(&self, wait: bool) -> bool {
        self.waits_for_room.store(wait, SeqCst);
        wait
    }
}

/// Every handle has one: it tells nothing of what children write or are given.
impl fmt::Debug for LoopLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LoopLink").finish_non_exhaustive()
    }
}
