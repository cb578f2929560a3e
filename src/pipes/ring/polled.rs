//! `PolledContexts`: contexts that the ring only waits for, and that are then read directly:
//! attributed ones, since only a receive names the writer, and terminals, since no read of them
//! waits in a ring. The ring waits for a socket by a peek at a byte, for a terminal by a poll.

use std::{collections::VecDeque, io, os::fd::AsRawFd};

use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::{
    driver::{cancel, user_data},
    enter,
};
use crate::pipes::{
    Completion, Held, Medium, PipeEnd, PipeEvent, PipeKey, PipeToken, direct::Direct, driver::Slots,
};

/// Marks the tokens of polled contexts, in the driver's table and in its completions.
pub(super) const WATCHED: u32 = 1 << 31;

#[derive(Debug)]
struct Context {
    key: PipeKey,
    end: PipeEnd,
    /// Where a peek lands.
    peeked: Box<u8>,
    in_flight: bool,
    paused: bool,
    leaving: bool,
}

#[derive(Debug, Default)]
pub(super) struct PolledContexts {
    slots: Slots<Context>,
    /// Contexts to wait for again.
    asking: VecDeque<PipeToken>,
    direct: Direct,
}

fn outer(token: PipeToken) -> PipeToken {
    PipeToken { slot: token.slot | WATCHED, ..token }
}

fn inner(token: PipeToken) -> PipeToken {
    PipeToken { slot: token.slot & !WATCHED, ..token }
}

pub(super) fn is_polled(token: PipeToken) -> bool {
    token.slot & WATCHED != 0
}

/// Completes when there are bytes to read, or no process can write any more.
fn readable(fd: types::Fd) -> squeue::Entry {
    opcode::PollAdd::new(fd, libc::POLLIN as u32).build()
}

/// Completes when there is room to write, or no process can read any more.
pub(super) fn writable(fd: types::Fd) -> squeue::Entry {
    opcode::PollAdd::new(fd, libc::POLLOUT as u32).build()
}

impl PolledContexts {
    pub(super) fn add(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        let token = self.slots.insert(Context {
            key,
            end,
            peeked: Box::default(),
            in_flight: false,
            paused: false,
            leaving: false,
        });
        self.asking.push_back(token);
        outer(token)
    }

    pub(super) fn end(&self, token: PipeToken) -> Option<&PipeEnd> {
        Some(&self.slots.get(inner(token))?.end)
    }

    /// Closes a context, now or when its operation has come back.
    pub(super) fn remove(&mut self, token: PipeToken, ring: &mut IoUring) -> io::Result<()> {
        let Some(context) = self.slots.get_mut(inner(token)) else { return Ok(()) };
        if !context.in_flight {
            self.slots.remove(inner(token));
            return Ok(());
        }
        context.leaving = true;
        cancel(ring, user_data(token))
    }

    /// The operation in flight takes nothing, so it can stay.
    pub(super) fn pause(&mut self, token: PipeToken) {
        if let Some(context) = self.slots.get_mut(inner(token)) {
            context.paused = true;
        }
    }

    pub(super) fn resume(&mut self, token: PipeToken) {
        if let Some(context) = self.slots.get_mut(inner(token))
            && std::mem::take(&mut context.paused)
            && !context.in_flight
        {
            self.asking.push_back(inner(token));
        }
    }

    /// Submits the operations that are due, if there is room for what they find.
    pub(super) fn submit(&mut self, ring: &mut IoUring, room: u64) -> io::Result<()> {
        self.direct.room = room;
        let due = if room == 0 { 0 } else { self.asking.len() };
        for _ in 0..due {
            let Some(token) = self.asking.pop_front() else { break };
            let Some(context) = self.slots.get_mut(token) else { continue };
            if context.in_flight || context.paused {
                continue;
            }
            context.in_flight = true;
            let fd = types::Fd(context.end.descriptor.as_raw_fd());
            let wait = match context.end.medium {
                Medium::Terminal => readable(fd),
                Medium::Attributed | Medium::Pipe => {
                    let byte = &raw mut *context.peeked;
                    opcode::Recv::new(fd, byte, 1).flags(libc::MSG_PEEK).build()
                }
            };
            // SAFETY: the descriptor and the byte in its box stay in `slots` until the operation's
            // completion, and the driver drops them after the ring.
            unsafe { enter::push(ring, &wait.user_data(user_data(outer(token))))? };
        }
        Ok(())
    }

    /// Returns all contexts: the operations in flight take nothing.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Held> {
        self.asking.clear();
        let contexts = self.slots.take_all().filter(|context| !context.leaving);
        contexts.map(|Context { key, end, .. }| Held::Reader(key, end))
    }

    /// An operation has come back: reads its context.
    pub(super) fn complete(
        &mut self,
        token: PipeToken,
        result: i32,
        found: &mut VecDeque<Completion>,
    ) {
        let token = inner(token);
        let Some(context) = self.slots.get_mut(token) else { return };
        context.in_flight = false;
        if context.leaving {
            self.slots.remove(token);
            return;
        }
        if context.paused {
            return;
        }
        let no_room = self.direct.room == 0;
        let again = [libc::EINTR, libc::EAGAIN, libc::ECANCELED].contains(&-result);
        let end = if result < 0 && !again {
            Some(PipeEvent::Failed(Errno::from_raw(-result).into()))
        } else {
            self.direct.read(context.key, &context.end, found)
        };
        match end {
            // No room was left for it: it comes first next time.
            None if no_room => self.asking.push_front(token),
            None => self.asking.push_back(token),
            Some(what) => {
                found.push_back(Completion { key: context.key, what });
                self.slots.remove(token);
            }
        }
    }
}
