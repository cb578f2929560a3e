//! `LogReader`: the user's own cursor on the merged log, pulled instead of pushed.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use futures_core::Stream;

use super::{Batch, CursorId, Limit, SharedLog, Start};

/// A stream that is always ready pauses after this time, so that its thread's other tasks and
/// timers can run.
const BUSY: Duration = Duration::from_millis(5);

/// Reads the merged log at its own pace. It loses nothing: when it is a whole log behind, reading
/// pauses and the children block as on a full pipe. So read on, drop it, or make it
/// [`lossy`](LogReader::lossy).
///
/// It is an async stream of batches; [`next`](LogReader::next) and
/// [`blocking`](LogReader::blocking) read it without one. A reader that always has more to read
/// still lets its thread's other tasks and timers run.
///
/// ```
/// # use actix_process::{Command, Fact, Policy, Start};
/// # actix::System::new().block_on(async {
/// # let policy = Policy::start()?;
/// let mut log = policy.log(Start::Now);
/// policy.spawn(Command::new("echo").arg("hello")).await?;
/// let mut written = Vec::new();
/// 'reading: while let Some(batch) = log.next().await {
///     for entry in batch.entries() {
///         match &entry.fact {
///             Fact::Chunk(chunk) => written.extend_from_slice(&chunk.bytes),
///             Fact::Closed => break 'reading,
///             _ => {}
///         }
///     }
/// }
/// assert_eq!(written, b"hello\n");
/// # drop(log);
/// # policy.shutdown(std::time::Duration::ZERO).await;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct LogReader {
    log: Arc<SharedLog>,
    cursor: CursorId,
    /// Since when the stream has been ready without a pause.
    ready_since: Option<Instant>,
}

impl fmt::Debug for LogReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LogReader").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl LogReader {
    pub(crate) fn open(log: Arc<SharedLog>, start: Start) -> Self {
        let cursor = log.lock().open(start, true);
        LogReader { log, cursor, ready_since: None }
    }

    /// From now on this reader never pauses reading. Dropped entries are reported as a gap.
    #[must_use]
    pub fn lossy(self) -> Self {
        self.log.lock().make_lossy(self.cursor);
        self.log.room_changed();
        self
    }

    /// Waits for entries after the last batch. Returns `None` once the policy has stopped and
    /// everything has been read. Cancel-safe: a dropped call takes nothing.
    pub async fn next(&mut self) -> Option<Batch> {
        std::future::poll_fn(|context| self.poll_fairly(context)).await
    }

    fn poll_fairly(&mut self, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        if self.ready_since.is_some_and(|since| since.elapsed() >= BUSY) {
            self.ready_since = None;
            // tokio wakes the task only after polling its timers; without tokio, at once.
            if pin!(tokio::task::yield_now()).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        let polled = self.poll(context.waker());
        match &polled {
            Poll::Ready(_) => self.ready_since = self.ready_since.or_else(|| Some(Instant::now())),
            Poll::Pending => self.ready_since = None,
        }
        polled
    }

    fn poll(&self, waker: &Waker) -> Poll<Option<Batch>> {
        let read = self.log.read_or_wait(self.cursor, waker);
        match read {
            Some(batch) => {
                self.log.room_changed();
                batch.iter().for_each(Batch::trace_gap);
                Poll::Ready(batch)
            }
            None => Poll::Pending,
        }
    }

    /// Returns the entries that are available now, or `None`.
    pub fn try_next(&mut self) -> Option<Batch> {
        let batch = self.log.read(self.cursor, Limit::Turns);
        self.log.room_changed();
        batch.iter().for_each(Batch::trace_gap);
        batch
    }

    /// Returns the same batches as an iterator that blocks the thread until there are more, for
    /// threads outside of any async runtime.
    pub fn blocking(self) -> impl Iterator<Item = Batch> {
        std::iter::from_fn(move || {
            // The iterator may have moved to another thread since the last call.
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            loop {
                match self.poll(&waker) {
                    Poll::Ready(batch) => return batch,
                    Poll::Pending => thread::park(),
                }
            }
        })
    }
}

impl Stream for LogReader {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        self.poll_fairly(context)
    }
}

/// Wakes a thread that waits in `blocking`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.log.lock().close(self.cursor);
        self.log.room_changed();
    }
}
