//! `Writers`: the pipes that the ring writes to, one operation at a time for each.

use std::{collections::VecDeque, io, os::fd::AsRawFd};

use bytes::Bytes;
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::{
    driver::{cancel, user_data},
    enter,
    polled::writable,
};
use crate::pipes::{
    Completion, Medium, PipeEnd, PipeEvent, PipeKey, PipeToken,
    driver::{Held, Slots},
    end::Growth,
};

/// Marks the completions of writes.
pub(super) const WRITER: u64 = 1 << 62;

/// A pipe that is written to.
#[derive(Debug)]
struct Writer {
    key: PipeKey,
    end: PipeEnd,
    /// What the next operation writes.
    next: Option<Bytes>,
    /// What the operation in flight writes.
    in_flight: Option<Bytes>,
    leaving: bool,
    growth: Growth,
}

#[derive(Debug, Default)]
pub(super) struct Writers {
    slots: Slots<Writer>,
    /// Writers with something to submit: only a turn submits, since that can make completions.
    due: VecDeque<PipeToken>,
    /// Writers whose write was submitted in the last turn and that were never seen full.
    fresh: Vec<PipeToken>,
}

impl Writers {
    pub(super) fn add(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        self.slots.insert(Writer {
            key,
            end,
            next: None,
            in_flight: None,
            leaving: false,
            growth: Growth::default(),
        })
    }

    pub(super) fn write(&mut self, token: PipeToken, bytes: Bytes) {
        if let Some(writer) = self.slots.get_mut(token) {
            writer.next = Some(bytes);
            self.due.push_back(token);
        }
    }

    pub(super) fn remove(&mut self, token: PipeToken) {
        let Some(writer) = self.slots.get_mut(token) else { return };
        if writer.in_flight.is_none() {
            self.slots.remove(token);
            return;
        }
        writer.leaving = true;
        self.due.push_back(token);
    }

    /// Submits what is due.
    pub(super) fn submit(&mut self, ring: &mut IoUring) -> io::Result<()> {
        for token in self.fresh.drain(..) {
            // A write that is still in flight a turn later waits for room.
            if let Some(writer) = self.slots.get_mut(token).filter(|it| it.in_flight.is_some()) {
                writer.growth.was_full(&writer.end);
            }
        }
        while let Some(token) = self.due.pop_front() {
            self.submit_one(ring, token)?;
        }
        Ok(())
    }

    /// Submits the pending write (the kernel waits for room), or cancels the one in flight.
    fn submit_one(&mut self, ring: &mut IoUring, token: PipeToken) -> io::Result<()> {
        let Some(writer) = self.slots.get_mut(token) else { return Ok(()) };
        let name = user_data(token) | WRITER;
        if writer.leaving {
            return cancel(ring, name);
        }
        let Some(bytes) = writer.next.take() else { return Ok(()) };
        let bytes = writer.in_flight.insert(bytes);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if !writer.growth.is_done() {
            self.fresh.push(token);
        }
        let fd = types::Fd(writer.end.descriptor.as_raw_fd());
        let entry = match writer.end.medium {
            // No write to a terminal waits in a ring.
            Medium::Terminal => writable(fd),
            Medium::Pipe | Medium::Attributed => {
                opcode::Write::new(fd, bytes.as_ptr(), len).offset(u64::MAX).build()
            }
        };
        // SAFETY: bytes and pipe stay in `slots`, untouched, until the operation's completion, and
        // the driver drops its writers after the ring.
        unsafe { enter::push(ring, &entry.user_data(name)) }
    }

    /// Returns all writers. A write without a completion has written nothing.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Held> {
        self.due.clear();
        self.fresh.clear();
        let writers = self.slots.take_all().filter(|writer| !writer.leaving);
        writers.map(|Writer { key, end, next, in_flight, .. }| {
            Held::Writer(key, end, in_flight.or(next))
        })
    }

    /// Turns a completion into what it brings, or tries the write once more.
    pub(super) fn complete(&mut self, token: PipeToken, result: i32) -> Option<Completion> {
        let writer = self.slots.get_mut(token)?;
        let bytes = writer.in_flight.take();
        if writer.leaving {
            self.slots.remove(token);
            return None;
        }
        let key = writer.key;
        let result = match (writer.end.medium, &bytes) {
            (Medium::Terminal, Some(bytes)) if result >= 0 => {
                match nix::unistd::write(&writer.end.descriptor, bytes) {
                    Ok(len) => len as i32,
                    // No process will ever read it: the wait would end at once, again and again.
                    Err(Errno::EAGAIN) if result & i32::from(libc::POLLHUP) != 0 => -libc::EIO,
                    Err(error) => -(error as i32),
                }
            }
            _ => result,
        };
        let again = [libc::EINTR, libc::EAGAIN, libc::ECANCELED].contains(&-result);
        let what = match (usize::try_from(result), bytes) {
            (Ok(len), bytes) => {
                if bytes.is_some_and(|bytes| len < bytes.len()) {
                    writer.growth.was_full(&writer.end);
                }
                PipeEvent::Written(len)
            }
            (Err(_), Some(bytes)) if again => {
                self.write(token, bytes);
                return None;
            }
            (Err(_), _) => {
                let medium = writer.end.medium;
                self.slots.remove(token);
                medium.failed(Errno::from_raw(-result))
            }
        };
        Some(Completion { key, what })
    }
}
