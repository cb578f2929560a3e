//! `Ring`: the driver itself: what it submits each turn, and how it handles completions.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use io_uring::{IoUring, cqueue, opcode, types};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{
    buffers::{BufferRing, CopyGroup},
    enter::{self, Size, Wait},
    polled::{PolledContexts, is_polled},
    slot::{Event, Mode, Next, Reading},
    writers::{WRITER, Writers},
};
use crate::{
    pipes::{
        Coalescer, Completion, Held, LoopWaker, Medium, PipeDriver, PipeEnd, PipeEvent, PipeKey,
        PipeKind, PipeToken, READ_BUFFER_LEN, ReadBuffer, driver::Slots,
    },
    restart::trace,
};

const RECORD_GROUP: u16 = 0;
const COLD_GROUP: u16 = 1;
const HOT_GROUP: u16 = 2;

/// Small buffers: the longest exit record fits.
const RECORD_BUFFERS: (u16, usize) = (256, 64);
const COLD_BUFFERS: (u16, usize) = (256, 4096);
/// More in a turn are faster with hundreds of writers, and less fair.
const HOT_BUFFERS: u16 = 24;

/// A one-shot read of at most this much would have fitted a cold buffer.
const SHORT: usize = COLD_BUFFERS.1;

/// All polled contexts together take at most this much in a turn.
const WATCHED_ROOM: u64 = 4 * READ_BUFFER_LEN as u64;

/// A turn that found this many reads makes the next one wait for several.
const BUSY: usize = 4;

/// With this many pipes to close, closing is urgent, too.
const ENDED: usize = 64;

/// Completions of the driver's own operations.
const WAKE: u64 = u64::MAX;
const CANCELLED: u64 = u64::MAX - 1;

pub(super) fn user_data(token: PipeToken) -> u64 {
    u64::from(token.generation) << 32 | u64::from(token.slot)
}

fn token(user_data: u64) -> PipeToken {
    PipeToken { slot: user_data as u32, generation: (user_data >> 32) as u32 }
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) key: PipeKey,
    pub(super) end: PipeEnd,
    pub(super) reading: Reading,
    /// The buffer group of the operation in flight.
    group: u16,
}

/// The read buffers of one-shot reads, by buffer id; `None` if one is to be replaced.
#[derive(Debug)]
struct HotGroup {
    ring: BufferRing,
    read_buffers: Vec<Option<ReadBuffer>>,
    /// Ids that the kernel does not have.
    free: Vec<u16>,
}

impl HotGroup {
    fn provided(&self) -> usize {
        (self.read_buffers.len() - self.free.len()) * READ_BUFFER_LEN
    }

    fn provide(&mut self, room: usize, coalescer: &Coalescer<PipeKey>) {
        let count = (room / READ_BUFFER_LEN).min(self.free.len());
        for _ in 0..count {
            let Some(id) = self.free.pop() else { break };
            let read_buffer =
                self.read_buffers[usize::from(id)].get_or_insert_with(|| coalescer.read_buffer());
            let memory = read_buffer.memory().as_mut_ptr();
            // SAFETY: the read buffer stays in `read_buffers`, untouched, until a completion names its id, and
            // `read_buffers` is dropped after the io_uring.
            unsafe { self.ring.provide(id, memory, READ_BUFFER_LEN as u32) };
        }
        if count > 0 {
            self.ring.publish();
        }
    }

    fn take(&mut self, id: u16) -> Option<ReadBuffer> {
        self.free.push(id);
        self.read_buffers[usize::from(id)].take()
    }
}

/// The io_uring driver. The field order matters: the ring is dropped before what it uses.
#[derive(Debug)]
pub(in crate::pipes) struct Ring {
    pub(super) ring: IoUringDebug,
    records: CopyGroup,
    cold: CopyGroup,
    hot: HotGroup,
    wake: Arc<EventFd>,
    wake_count: Box<u64>,
    wake_armed: bool,
    pub(super) slots: Slots<Pipe>,
    /// Pipes to close when nothing is more urgent.
    pub(super) ended: Vec<PipeEnd>,
    pub(super) writers: Writers,
    pub(super) watched: PolledContexts,
    /// Pipes that wait for a multishot read or a record's read.
    asking: VecDeque<PipeToken>,
    /// Hot pipes in the order in which they get their next read.
    queue: VecDeque<PipeToken>,
    pub(super) coalescer: Coalescer<PipeKey>,
    /// One-shot reads of read buffers in flight.
    hot_reads: usize,
    turn: u32,
    busy: bool,
}

/// `IoUring` has no `Debug`.
pub(super) struct IoUringDebug(pub(super) IoUring);

impl std::fmt::Debug for IoUringDebug {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "IoUring({})", self.0.as_raw_fd())
    }
}

impl Ring {
    /// A driver for the calling thread.
    pub(super) fn new(size: Size) -> io::Result<Self> {
        let ring = enter::build(size)?;
        let submitter = ring.submitter();
        let mut records =
            CopyGroup::register(&submitter, RECORD_GROUP, RECORD_BUFFERS.0, RECORD_BUFFERS.1)?;
        records.provide(usize::MAX);
        let cold = CopyGroup::register(&submitter, COLD_GROUP, COLD_BUFFERS.0, COLD_BUFFERS.1)?;
        let hot = HotGroup {
            ring: BufferRing::register(&submitter, HOT_GROUP, HOT_BUFFERS.next_power_of_two())?,
            read_buffers: (0..HOT_BUFFERS).map(|_| None).collect(),
            free: (0..HOT_BUFFERS).rev().collect(),
        };
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        Ok(Ring {
            ring: IoUringDebug(ring),
            records,
            cold,
            hot,
            wake: Arc::new(wake),
            wake_count: Box::new(0),
            wake_armed: false,
            slots: Slots::default(),
            ended: Vec::new(),
            writers: Writers::default(),
            watched: PolledContexts::default(),
            asking: VecDeque::new(),
            queue: VecDeque::new(),
            coalescer: Coalescer::new(),
            hot_reads: 0,
            turn: 0,
            busy: false,
        })
    }

    /// Submits a pipe's next operation.
    fn submit(&mut self, token: PipeToken) -> io::Result<()> {
        let Some(pipe) = self.slots.get_mut(token) else { return Ok(()) };
        let fd = types::Fd(pipe.end.descriptor.as_raw_fd());
        let (group, entry) = match pipe.reading.mode() {
            Mode::ToCool => (COLD_GROUP, opcode::ReadMulti::new(fd, 0, COLD_GROUP).build()),
            Mode::Queued => (HOT_GROUP, one_shot(fd, READ_BUFFER_LEN, HOT_GROUP)),
            Mode::ToRecord => (RECORD_GROUP, one_shot(fd, RECORD_BUFFERS.1, RECORD_GROUP)),
            // It has an operation in flight, or was paused meanwhile.
            _ => return Ok(()),
        };
        pipe.group = group;
        self.hot_reads += usize::from(group == HOT_GROUP);
        pipe.reading.submitted();
        // SAFETY: the pipe is closed only after the operation's last completion, and the buffer
        // groups outlive the ring.
        unsafe { enter::push(&mut self.ring.0, &entry.user_data(user_data(token))) }
    }

    /// Before entering: buffers, the wake-up, and the operations that pipes wait for.
    fn prepare(&mut self, room: u64) -> io::Result<()> {
        self.watched.submit(&mut self.ring.0, room.min(WATCHED_ROOM))?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        // Half for each kind, so that neither takes the place that a pipe of the other waits for.
        self.hot.provide((room / 2).saturating_sub(self.hot.provided()), &self.coalescer);
        self.cold.provide((room / 2).saturating_sub(self.cold.provided()));
        if !self.wake_armed {
            let fd = types::Fd(self.wake.as_fd().as_raw_fd());
            let memory = (&raw mut *self.wake_count).cast::<u8>();
            let entry = opcode::Read::new(fd, memory, 8).build().user_data(WAKE);
            // SAFETY: eventfd and counter live in boxes of this driver, which awaits the read (or
            // drops the ring) before it drops them.
            unsafe { enter::push(&mut self.ring.0, &entry)? };
            self.wake_armed = true;
        }
        self.writers.submit(&mut self.ring.0)?;
        // A pipe whose read found no buffer asks again only when there is one.
        for _ in 0..self.asking.len() {
            let Some(token) = self.asking.pop_front() else { break };
            let output =
                self.slots.get(token).map(|pipe| pipe.reading.mode()) == Some(Mode::ToCool);
            if output && self.cold.provided() == 0 {
                self.asking.push_back(token);
            } else {
                self.submit(token)?;
            }
        }
        let buffers = self.hot.provided() / READ_BUFFER_LEN;
        for _ in 0..buffers.min(self.queue.len()) {
            let Some(token) = self.queue.pop_front() else { break };
            self.submit(token)?;
        }
        Ok(())
    }

    /// Does what a pipe's state machine asks for.
    fn follow(&mut self, token: PipeToken, next: Next) -> io::Result<()> {
        match next {
            Next::Wait => {}
            Next::Ask => match self.slots.get(token).map(|pipe| pipe.reading.mode()) {
                Some(Mode::Queued) => self.queue.push_back(token),
                Some(_) => self.asking.push_back(token),
                None => {}
            },
            Next::Cancel => cancel(&mut self.ring.0, user_data(token))?,
            Next::Close => self.ended.extend(self.slots.remove(token).map(|pipe| pipe.end)),
        }
        Ok(())
    }

    /// Handles one completion of the ring and adds what it brings to `found`.
    pub(super) fn complete(
        &mut self,
        entry: &cqueue::Entry,
        found: &mut VecDeque<Completion>,
    ) -> io::Result<()> {
        match entry.user_data() {
            WAKE => self.wake_armed = false,
            CANCELLED => {}
            data if data & WRITER != 0 => {
                found.extend(self.writers.complete(token(data & !WRITER), entry.result()));
            }
            data if is_polled(token(data)) => {
                self.watched.complete(token(data), entry.result(), found);
            }
            data => return self.complete_read(token(data), entry, found),
        }
        Ok(())
    }

    fn complete_read(
        &mut self,
        token: PipeToken,
        entry: &cqueue::Entry,
        found: &mut VecDeque<Completion>,
    ) -> io::Result<()> {
        let Some(pipe) = self.slots.get_mut(token) else { return Ok(()) };
        let key = pipe.key;
        let mut emit =
            |key, bytes| found.push_back(Completion { key, what: PipeEvent::Bytes(bytes) });
        if pipe.group == HOT_GROUP {
            self.hot_reads -= 1;
        }
        let buffer = cqueue::buffer_select(entry.flags());
        // The end of a pipe, too, uses up the buffer of a one-shot read; a multishot read's flag
        // says that it did not.
        if entry.result() <= 0
            && let Some(id) = buffer
        {
            match pipe.group {
                RECORD_GROUP => self.records.unused(id),
                HOT_GROUP => self.hot.free.push(id),
                _ => self.cold.unused(id),
            }
        }
        let event = match usize::try_from(entry.result()) {
            Ok(0) => {
                self.coalescer.flush(&mut emit);
                found.push_back(Completion { key, what: PipeEvent::End });
                return self.follow(token, Next::Close);
            }
            Ok(len) => {
                let Some(id) = buffer else {
                    return Err(io::Error::other("a read completed without its buffer"));
                };
                match pipe.group {
                    RECORD_GROUP => {
                        self.coalescer.copy(key, self.records.content(id, len), &mut emit);
                        self.records.provide(usize::MAX);
                    }
                    HOT_GROUP => {
                        if let Some(read_buffer) = self.hot.take(id) {
                            let rest = self.coalescer.take_slab(key, read_buffer, len, &mut emit);
                            self.hot.read_buffers[usize::from(id)] = rest;
                        }
                    }
                    _ => {
                        self.coalescer.copy(key, self.cold.content(id, len), &mut emit);
                    }
                }
                if cqueue::more(entry.flags()) {
                    Event::More
                } else if len <= SHORT {
                    Event::Short
                } else {
                    Event::Full
                }
            }
            Err(_) => match -entry.result() {
                libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => Event::Over,
                errno => {
                    self.coalescer.flush(&mut emit);
                    let error = io::Error::from_raw_os_error(errno);
                    found.push_back(Completion { key, what: PipeEvent::Failed(error) });
                    return self.follow(token, Next::Close);
                }
            },
        };
        let next = pipe.reading.on(event, self.turn);
        self.follow(token, next)
    }
}

/// Cancels an operation by its user data.
pub(super) fn cancel(ring: &mut IoUring, operation: u64) -> io::Result<()> {
    let entry = opcode::AsyncCancel::new(operation).build().user_data(CANCELLED);
    // SAFETY: the entry points to nothing.
    unsafe { enter::push(ring, &entry) }
}

/// A read of at most `len` bytes into a buffer of `group`, picked when there are bytes.
fn one_shot(fd: types::Fd, len: usize, group: u16) -> io_uring::squeue::Entry {
    opcode::Read::new(fd, std::ptr::null_mut(), len as u32)
        .offset(u64::MAX)
        .buf_group(group)
        .build()
        .flags(io_uring::squeue::Flags::BUFFER_SELECT)
}

impl PipeDriver for Ring {
    fn add(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        if end.medium != Medium::Pipe {
            return self.watched.add(key, end);
        }
        let reading = match key.kind {
            PipeKind::Output(_) => Reading::output(),
            PipeKind::Status | PipeKind::Input => Reading::record(),
        };
        let token = self.slots.insert(Pipe { key, end, reading, group: COLD_GROUP });
        self.asking.push_back(token);
        token
    }

    fn remove(&mut self, token: PipeToken) {
        let left = if is_polled(token) {
            self.watched.remove(token, &mut self.ring.0)
        } else {
            let Some(pipe) = self.slots.get_mut(token) else { return };
            let next = pipe.reading.leave();
            self.follow(token, next)
        };
        if let Err(error) = left {
            trace::warn!(%error, "a read could not be cancelled; its pipe stays open");
        }
    }

    fn pause(&mut self, token: PipeToken) {
        if is_polled(token) {
            return self.watched.pause(token);
        }
        let Some(pipe) = self.slots.get_mut(token) else { return };
        let next = pipe.reading.pause();
        if let Err(error) = self.follow(token, next) {
            trace::warn!(%error, "a read could not be cancelled; its pipe is read on");
        }
    }

    fn resume(&mut self, token: PipeToken) {
        if is_polled(token) {
            return self.watched.resume(token);
        }
        let Some(pipe) = self.slots.get_mut(token) else { return };
        let next = pipe.reading.resume();
        if let Err(error) = self.follow(token, next) {
            trace::error!(%error, "a pipe could not be resumed");
        }
    }

    fn add_writer(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken {
        self.writers.add(key, end)
    }

    fn write(&mut self, token: PipeToken, bytes: Bytes) {
        self.writers.write(token, bytes);
    }

    fn remove_writer(&mut self, token: PipeToken) {
        self.writers.remove(token);
    }

    fn pipe(&self, token: PipeToken) -> Option<&PipeEnd> {
        if is_polled(token) {
            return self.watched.end(token);
        }
        Some(&self.slots.get(token)?.end)
    }

    fn poll_soon(&mut self, _token: PipeToken) {}

    fn needs_poll_soon(&self) -> bool {
        false
    }

    fn turn(&mut self, sleep: bool, room: u64, found: &mut VecDeque<Completion>) -> io::Result<()> {
        self.prepare(room)?;
        // A queued pipe has no read in flight, so nothing would end the sleep for it. Without a
        // free read buffer it waits for room, and room ends the sleep.
        let sleep = sleep && (self.queue.is_empty() || self.hot.provided() == 0);
        // Pipes are closed before a sleep, when no other work waits. Under load there is always
        // work, and the sleep gathers completions: then they are closed right before it.
        if sleep && self.busy {
            self.ended.clear();
        }
        let closes = sleep && !self.ended.is_empty();
        let wait = match (sleep && !closes, self.busy) {
            (false, _) => Wait::No,
            (true, false) => Wait::ForOne,
            (true, true) => Wait::ForMany(self.hot_reads),
        };
        enter::enter(&mut self.ring.0, wait)?;
        self.turn = self.turn.wrapping_add(1);
        let (mut reads, mut idle) = (0, true);
        loop {
            // An entry is taken off the queue before it is handled, and handled whole.
            while let Some(entry) = { self.ring.0.completion().next() } {
                idle = false;
                reads += usize::from(cqueue::buffer_select(entry.flags()).is_some());
                self.complete(&entry, found)?;
            }
            if !enter::drain_overflow(&mut self.ring.0)? {
                break;
            }
        }
        self.coalescer.flush(&mut |key, bytes| {
            found.push_back(Completion { key, what: PipeEvent::Bytes(bytes) });
        });
        if closes && idle || self.ended.len() >= ENDED {
            // The thread that was notified of the ends may be waiting for this very core.
            thread::yield_now();
            self.ended.clear();
        }
        self.busy = reads >= BUSY;
        Ok(())
    }

    fn give_up(&mut self, found: &mut VecDeque<Completion>, held: &mut VecDeque<Held>) -> bool {
        self.give_up_all(found, held);
        true
    }

    fn waker(&self) -> LoopWaker {
        LoopWaker::EventFd(Arc::clone(&self.wake))
    }
}

impl Drop for Ring {
    /// A dropped ring can still take bytes out of pipes and write into buffers until its last
    /// operation is cancelled: cancel all, and wait for each.
    fn drop(&mut self) {
        let cancel = self.ring.0.submitter().register_sync_cancel(
            Some(types::Timespec::from(std::time::Duration::from_secs(1))),
            types::CancelBuilder::any(),
        );
        if let Err(error) = cancel
            && error.kind() != io::ErrorKind::NotFound
        {
            trace::warn!(%error, "the ring's reads could not be cancelled");
        }
    }
}
