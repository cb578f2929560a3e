//! `InputQueue`: the bytes to write to one child. Its writers wait if it holds too many.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};

use crate::{
    restart::{WaitList, Wakers, drop_contained},
    types::StdinError,
};

/// asyncio's marks: above the high one writers wait until the low one is reached.
const HIGH: usize = 64 * 1024;

/// The end of input for a terminal: Ctrl-D.
const END_OF_INPUT: &[u8] = b"\x04";

/// These end or erase a line: newlines and Ctrl-D end it, Ctrl-C, U, Z and \ erase it.
const NO_LINE: &[u8] = b"\n\r\x04\x03\x15\x1a\x1c";

/// Shared by the writers and the read loop. It outlives every panic of either.
pub(crate) struct InputQueue(Mutex<State>);

struct State {
    buffers: VecDeque<Bytes>,
    queued: usize,
    low: usize,
    high: usize,
    /// The queue rose above the high mark and has not yet fallen to the low one.
    full: bool,
    end: End,
    /// `None` for a pipe. For a terminal: whether a line is unfinished, since Ctrl-D then only
    /// flushes it and must be sent twice.
    terminal: Option<bool>,
    /// Queued bytes were discarded.
    discarded: bool,
    waiting: WaitList,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More bytes may come.
    Open,
    /// No bytes come after the queued ones.
    Eof,
    /// The pipe is closed, because of this `errno` if there is one.
    Closed(Option<i32>),
}

/// The read loop's next step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write(Bytes),
    /// Everything is written, and no more bytes will come.
    Close,
    /// Nothing is queued.
    Wait,
}

impl InputQueue {
    pub(crate) fn new(terminal: bool) -> Self {
        InputQueue(Mutex::new(State {
            buffers: VecDeque::new(),
            queued: 0,
            low: HIGH / 4,
            high: HIGH,
            full: false,
            end: End::Open,
            terminal: terminal.then_some(false),
            discarded: false,
            waiting: WaitList::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues bytes. Contained, because the bytes' destructor may be foreign code that panics.
    pub(crate) fn push(&self, bytes: Bytes) -> Result<(), StdinError> {
        let bytes = Bytes::from_owner(Contained(bytes));
        let mut state = self.lock();
        state.check_open()?;
        state.queue(bytes);
        Ok(())
    }

    pub(crate) fn set_marks(&self, low: usize, high: usize) -> Result<(), StdinError> {
        if low > high || high == 0 {
            return Err(StdinError::Marks { low, high });
        }
        let mut state = self.lock();
        (state.low, state.high) = (low, high);
        state.full = state.queued > high;
        let wakers = state.wake_if_drained();
        drop(state);
        drop(wakers);
        Ok(())
    }

    /// No bytes will come after the queued ones.
    pub(crate) fn end(&self) -> Result<(), StdinError> {
        let mut state = self.lock();
        state.check_open()?;
        match state.terminal {
            None => {}
            Some(false) => state.queue(Bytes::from_static(END_OF_INPUT)),
            Some(true) => state.queue([END_OF_INPUT, END_OF_INPUT].concat().into()),
        }
        state.end = End::Eof;
        Ok(())
    }

    /// Discards the queued bytes and closes the queue.
    pub(crate) fn abort(&self) {
        self.close(None);
    }

    /// Waits until the writer may go on: `full` is over, or with `all`, everything is written. A
    /// later close of the pipe does not change that.
    pub(crate) fn ready(&self, all: bool) -> Ready<'_> {
        Ready { queue: self, all, key: None }
    }

    /// As `ready`, for a caller that keeps its waker's key and calls [`forget`](Self::forget).
    pub(crate) fn poll_ready(
        &self,
        all: bool,
        key: &mut Option<u64>,
        context: &Context<'_>,
    ) -> Poll<Result<(), StdinError>> {
        // A waker is foreign code: clone it before the lock, and drop it after the lock.
        let waker = context.waker().clone();
        let mut state = self.lock();
        let ready = state.ready(all);
        let unused = match ready {
            Poll::Ready(_) => Some(waker),
            Poll::Pending => state.waiting.leave(key, waker),
        };
        drop(state);
        drop(unused);
        ready
    }

    /// Drops the waker with this key.
    pub(crate) fn forget(&self, key: Option<u64>) {
        if let Some(key) = key {
            let forgotten = self.lock().waiting.forget(key);
            drop_contained(forgotten);
        }
    }

    /// For the read loop: what to do now.
    pub(crate) fn step(&self) -> Step {
        let state = self.lock();
        match (state.buffers.front(), state.end) {
            (_, End::Closed(_)) => Step::Close,
            (Some(bytes), _) => Step::Write(bytes.clone()),
            (None, End::Eof) => Step::Close,
            (None, End::Open) => Step::Wait,
        }
    }

    /// For the read loop: this many bytes of the first buffer are in the pipe.
    pub(crate) fn written(&self, len: usize) {
        let mut state = self.lock();
        let Some(front) = state.buffers.front_mut() else { return };
        let len = len.min(front.len());
        front.advance(len);
        let done = if front.is_empty() { state.buffers.pop_front() } else { None };
        state.queued -= len;
        let wakers = state.wake_if_drained();
        drop(state);
        drop((done, wakers));
    }

    /// The pipe is closed, because of this `errno` if there is one. Queued bytes are discarded.
    pub(crate) fn close(&self, errno: Option<i32>) {
        let mut state = self.lock();
        if let End::Closed(_) = state.end {
            return;
        }
        state.end = End::Closed(errno);
        state.discarded = state.queued > 0;
        let discarded = mem::take(&mut state.buffers);
        state.queued = 0;
        state.full = false;
        let wakers = state.waiting.take();
        drop(state);
        drop((discarded, wakers));
    }
}

impl State {
    fn queue(&mut self, bytes: Bytes) {
        let Some(last) = bytes.last() else { return };
        self.terminal = self.terminal.map(|_| !NO_LINE.contains(last));
        self.queued += bytes.len();
        self.full |= self.queued > self.high;
        self.buffers.push_back(bytes);
    }

    fn check_open(&self) -> Result<(), StdinError> {
        match self.end {
            End::Open => Ok(()),
            End::Eof | End::Closed(None) => Err(StdinError::Ended),
            End::Closed(Some(errno)) => {
                Err(StdinError::Unread(std::io::Error::from_raw_os_error(errno)))
            }
        }
    }

    /// Returns the wakers of the writers that can go on, for a wake outside the lock.
    fn wake_if_drained(&mut self) -> Wakers {
        if self.queued <= self.low {
            self.full = false;
        }
        if self.full { Wakers::default() } else { self.waiting.take() }
    }

    fn ready(&self, all: bool) -> Poll<Result<(), StdinError>> {
        let in_vain = if all { self.discarded } else { matches!(self.end, End::Closed(Some(_))) };
        if in_vain {
            return Poll::Ready(self.check_open());
        }
        let ready = if all { self.queued == 0 } else { !self.full };
        if ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// A waiting writer. Dropping it removes its waker.
#[derive(Debug)]
pub(crate) struct Ready<'a> {
    queue: &'a InputQueue,
    all: bool,
    key: Option<u64>,
}

impl Future for Ready<'_> {
    type Output = Result<(), StdinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        let all = self.all;
        queue.poll_ready(all, &mut self.key, context)
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.queue.forget(self.key);
    }
}

/// Bytes of the user, whose destructor is contained.
struct Contained(Bytes);

impl AsRef<[u8]> for Contained {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop_contained(mem::take(&mut self.0));
    }
}

/// Shows how much is queued and never the bytes.
impl fmt::Debug for InputQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InputQueue").field("queued", &self.lock().queued).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Waker};

    use super::*;

    fn poll(queue: &InputQueue, all: bool) -> Poll<Result<(), StdinError>> {
        pin!(queue.ready(all)).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready(queue: &InputQueue) -> bool {
        poll(queue, false).is_ready()
    }

    #[test]
    fn a_writer_that_gives_up_leaves_nothing_behind() {
        let queue = InputQueue::new(false);
        queue.push(Bytes::from(vec![0; HIGH + 1])).unwrap();
        assert!(!ready(&queue));
        assert!(queue.lock().waiting.is_empty());
    }

    #[test]
    fn writers_wait_from_the_high_mark_down_to_the_low_one() {
        let queue = InputQueue::new(false);
        queue.set_marks(10, 20).unwrap();
        queue.push(Bytes::from(vec![0; 20])).unwrap();
        assert!(ready(&queue));
        queue.push(Bytes::from_static(b"x")).unwrap();
        assert!(!ready(&queue));
        queue.written(10);
        assert!(!ready(&queue), "11 are left");
        queue.written(1);
        assert!(ready(&queue));
        queue.end().unwrap();
        assert!(matches!(queue.push(Bytes::from_static(b"y")), Err(StdinError::Ended)));
        queue.written(9);
        assert_eq!(queue.step(), Step::Write(Bytes::from_static(b"x")));
        queue.written(1);
        assert_eq!(queue.step(), Step::Close);
    }

    #[test]
    fn a_terminal_s_input_ends_with_a_character_and_twice_after_a_line_that_was_begun() {
        for (typed, last) in [("", "\x04"), ("line\n", "\x04"), ("lin", "\x04\x04")] {
            let queue = InputQueue::new(true);
            queue.push(Bytes::from(typed)).unwrap();
            queue.end().unwrap();
            queue.written(typed.len());
            assert_eq!(queue.step(), Step::Write(Bytes::from(last)));
            queue.written(last.len());
            assert_eq!(queue.step(), Step::Close);
        }
    }

    #[test]
    fn marks_that_make_no_sense_are_refused() {
        let queue = InputQueue::new(false);
        for (low, high) in [(2, 1), (0, 0)] {
            let refused = queue.set_marks(low, high);
            assert!(matches!(refused, Err(StdinError::Marks { .. })));
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_an_error_to_everyone_who_writes() {
        let queue = InputQueue::new(false);
        queue.push(Bytes::from(vec![0; HIGH + 1])).unwrap();
        assert!(!ready(&queue));
        queue.close(Some(libc::EPIPE));
        assert!(matches!(poll(&queue, false), Poll::Ready(Err(StdinError::Unread(_)))));
        assert!(matches!(queue.push(Bytes::from_static(b"x")), Err(StdinError::Unread(_))));
    }

    #[test]
    fn what_was_written_whole_stays_written_when_the_reader_goes_away() {
        let queue = InputQueue::new(false);
        queue.push(Bytes::from_static(b"x")).unwrap();
        queue.written(1);
        queue.close(Some(libc::EPIPE));
        assert!(matches!(poll(&queue, true), Poll::Ready(Ok(()))));
        let more = poll(&queue, false);
        assert!(matches!(more, Poll::Ready(Err(StdinError::Unread(_)))));
    }
}
