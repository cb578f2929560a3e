//! The portable driver: adaptive non-blocking sweeps.
//!
//! A pipe that just had bytes is polled again at once; a quiet pipe is polled less and less often.
//! Between two sweeps the thread is parked, and a command unparks it.

use std::{
    collections::VecDeque,
    io, thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::errno::Errno;

use super::{
    Completion, LoopWaker, Medium, PipeDriver, PipeEnd, PipeEvent, PipeKey, PipeKind, PipeToken,
    direct::Direct,
    driver::{Held, Slots},
    end::Growth,
};
use crate::{
    ChildId,
    pipes::{Coalescer, READ_BUFFER_LEN},
    restart::trace,
    sys,
};

/// A pipe that stays quiet is polled this often.
const LONGEST: Duration = Duration::from_millis(50);

/// A pipe that was just quiet for the first time is polled again after this.
const SHORTEST: Duration = Duration::from_nanos(50_000_000 / 128);

/// A status pipe is polled when the waiter says so; this is only for a message that was lost.
const STATUS: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct SweptPipe {
    key: PipeKey,
    end: PipeEnd,
    pause: Duration,
    due: Instant,
    paused: bool,
}

/// A pipe that is written to.
#[derive(Debug)]
struct Written {
    key: PipeKey,
    end: PipeEnd,
    /// What is left of the buffer in hand.
    bytes: Option<Bytes>,
    growth: Growth,
    pause: Duration,
    due: Instant,
}

/// Set in the generations of its tokens: an earlier driver's tokens are not found here.
const MARK: u32 = 1 << 31;

/// The sweeping driver.
#[derive(Debug)]
pub(super) struct Sweep {
    slots: Slots<SweptPipe>,
    /// The tokens to sweep, in the order in which they were added.
    order: Vec<PipeToken>,
    writers: Slots<Written>,
    writing: Vec<PipeToken>,
    coalescer: Coalescer<PipeKey>,
    direct: Direct,
    /// Where the next sweep starts, so that no pipe is always the last to get room.
    first: usize,
    thread: thread::Thread,
    started: Instant,
}

/// The next poll: pipes of the same pause share their moments, so that one wake serves them all.
fn next_look(started: Instant, now: Instant, pause: Duration) -> Instant {
    let pauses = now.duration_since(started).as_nanos() / pause.as_nanos() + 1;
    started + pause * u32::try_from(pauses).unwrap_or(u32::MAX)
}

fn bytes_to(found: &mut VecDeque<Completion>) -> impl FnMut(PipeKey, Bytes) {
    |key, bytes| found.push_back(Completion { key, what: PipeEvent::Bytes(bytes) })
}

impl SweptPipe {
    /// The pipe had nothing: returns when it is polled again.
    fn was_quiet(&mut self, started: Instant, now: Instant) -> Instant {
        let output = matches!(self.key.kind, PipeKind::Output(_));
        self.due = next_look(started, now, if output { self.pause } else { STATUS });
        self.pause = (self.pause * 2).min(LONGEST);
        self.due
    }
}

impl Sweep {
    /// A driver for the calling thread.
    pub(super) fn new() -> Self {
        Sweep {
            slots: Slots::marked(MARK),
            order: Vec::new(),
            writers: Slots::marked(MARK),
            writing: Vec::new(),
            coalescer: Coalescer::new(),
            direct: Direct::default(),
            first: 0,
            thread: thread::current(),
            started: Instant::now(),
        }
    }

    /// Polls every pipe that is due, once. Returns when the next one is due, `None` for at once.
    fn sweep(&mut self, mut room: u64, found: &mut VecDeque<Completion>) -> Option<Instant> {
        let now = Instant::now();
        let mut next = now + STATUS;
        let mut busy = false;
        let mut ended = Vec::new();
        let len = self.order.len();
        for step in 0..len {
            let token = self.order[(self.first + step) % len];
            let Some(swept) = self.slots.get_mut(token) else { continue };
            let output = matches!(swept.key.kind, PipeKind::Output(_));
            if swept.paused || (output && room == 0) {
                continue;
            }
            if swept.due > now {
                next = next.min(swept.due);
                continue;
            }
            let want =
                if output { room.min(READ_BUFFER_LEN as u64) as usize } else { READ_BUFFER_LEN };
            if swept.end.medium != Medium::Pipe {
                self.direct.room = room;
                match self.direct.read(swept.key, &swept.end, found) {
                    Some(what) => ended.push((token, what)),
                    None if self.direct.room < room => (swept.pause, busy) = (SHORTEST, true),
                    None => next = next.min(swept.was_quiet(self.started, now)),
                }
                room = self.direct.room;
                continue;
            }
            let mut read_buffer = self.coalescer.read_buffer();
            match nix::unistd::read(&swept.end.descriptor, &mut read_buffer.memory()[..want]) {
                Ok(0) => ended.push((token, PipeEvent::End)),
                Ok(len) => {
                    if output {
                        room -= len as u64;
                    }
                    self.coalescer.take_slab(swept.key, read_buffer, len, &mut bytes_to(found));
                    swept.pause = SHORTEST;
                    busy = true;
                }
                Err(Errno::EINTR) => busy = true,
                Err(Errno::EAGAIN) => next = next.min(swept.was_quiet(self.started, now)),
                Err(error) => ended.push((token, PipeEvent::Failed(error.into()))),
            }
        }
        self.coalescer.flush(&mut bytes_to(found));
        self.first = if len == 0 { 0 } else { (self.first + 1) % len };
        for (token, what) in ended {
            if let Some(swept) = self.slots.remove(token) {
                found.push_back(Completion { key: swept.key, what });
            }
        }
        let slots = &self.slots;
        self.order.retain(|token| slots.get(*token).is_some());
        (!busy).then_some(next)
    }
}

impl Sweep {
    fn expedite_writers(&mut self) {
        let now = Instant::now();
        for &token in &self.writing {
            if let Some(writer) = self.writers.get_mut(token) {
                (writer.due, writer.pause) = (now, SHORTEST);
            }
        }
    }

    /// Polls a child's pipes soon: the child was given something to read.
    fn expedite_readers(&mut self, child: ChildId) {
        let now = Instant::now();
        for &token in &self.order {
            if let Some(swept) = self.slots.get_mut(token)
                && swept.key.child == child
            {
                (swept.due, swept.pause) = (now, SHORTEST);
            }
        }
    }

    /// Tries every write that is due. Returns when the next one is due, `None` for at once.
    fn write_all(&mut self, found: &mut VecDeque<Completion>) -> Option<Instant> {
        let now = Instant::now();
        let before = found.len();
        let mut next = now + STATUS;
        let (writers, started) = (&mut self.writers, self.started);
        self.writing.retain(|&token| {
            let Some(writer) = writers.get_mut(token) else { return false };
            let Some(bytes) = &writer.bytes else { return false };
            if writer.due > now {
                next = next.min(writer.due);
                return true;
            }
            let what = match nix::unistd::write(&writer.end.descriptor, bytes) {
                Ok(len) => {
                    if len < bytes.len() {
                        writer.growth.was_full(&writer.end);
                    }
                    PipeEvent::Written(len)
                }
                Err(errno @ (Errno::EINTR | Errno::EAGAIN)) => {
                    if errno == Errno::EAGAIN {
                        writer.growth.was_full(&writer.end);
                    }
                    writer.due = next_look(started, now, writer.pause);
                    next = next.min(writer.due);
                    writer.pause = (writer.pause * 2).min(LONGEST);
                    return true;
                }
                Err(error) => writer.end.medium.failed(error),
            };
            (writer.bytes, writer.pause) = (None, SHORTEST);
            found.push_back(Completion { key: writer.key, what });
            if !matches!(found.back(), Some(Completion { what: PipeEvent::Written(_), .. })) {
                writers.remove(token);
            }
            false
        });
        for found in found.iter().skip(before) {
            self.expedite_readers(found.key.child);
        }
        Some(next)
    }
}

impl PipeDriver for Sweep {
    fn add(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        // It cannot fail on an open descriptor; if it does, log it before a read blocks.
        if let Err(error) = sys::pipe::set_nonblocking(&end.descriptor) {
            trace::error!(%error, "a pipe cannot be made non-blocking");
        }
        let now = Instant::now();
        let token =
            self.slots.insert(SweptPipe { key, end, pause: SHORTEST, due: now, paused: false });
        self.order.push(token);
        token
    }

    fn remove(&mut self, token: PipeToken) {
        self.slots.remove(token);
    }

    fn pause(&mut self, token: PipeToken) {
        if let Some(swept) = self.slots.get_mut(token) {
            swept.paused = true;
        }
    }

    fn resume(&mut self, token: PipeToken) {
        if let Some(swept) = self.slots.get_mut(token) {
            swept.paused = false;
        }
        self.poll_soon(token);
    }

    fn add_writer(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        if let Err(error) = sys::pipe::set_nonblocking(&end.descriptor) {
            trace::error!(%error, "a pipe cannot be made non-blocking");
        }
        let due = Instant::now();
        let growth = Growth::default();
        self.writers.insert(Written { key, end, bytes: None, growth, pause: SHORTEST, due })
    }

    fn write(&mut self, token: PipeToken, bytes: Bytes) {
        if let Some(writer) = self.writers.get_mut(token) {
            writer.bytes = Some(bytes);
            writer.due = Instant::now();
            self.writing.push(token);
        }
    }

    fn remove_writer(&mut self, token: PipeToken) {
        self.writers.remove(token);
    }

    fn pipe(&self, token: PipeToken) -> Option<&PipeEnd> {
        Some(&self.slots.get(token)?.end)
    }

    fn poll_soon(&mut self, token: PipeToken) {
        if let Some(swept) = self.slots.get_mut(token) {
            swept.due = Instant::now();
        }
    }

    fn needs_poll_soon(&self) -> bool {
        true
    }

    fn turn(&mut self, sleep: bool, room: u64, found: &mut VecDeque<Completion>) -> io::Result<()> {
        let next = self.sweep(room, found);
        if next.is_none() {
            // A child that has just written may have read before.
            self.expedite_writers();
        }
        let next = self.write_all(found).and_then(|due| Some(next?.min(due)));
        if let Some(next) = next
            && sleep
            && found.is_empty()
        {
            if self.order.is_empty() && self.writing.is_empty() {
                thread::park();
            } else {
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    fn give_up(&mut self, _: &mut VecDeque<Completion>, _: &mut VecDeque<Held>) -> bool {
        false
    }

    fn waker(&self) -> LoopWaker {
        LoopWaker::Thread(self.thread.clone())
    }
}
