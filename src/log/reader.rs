//! `LogReader`: a cursor of the user's own on the merged log, pulled instead of pushed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use futures_core::Stream;

use super::{Batch, CursorId, Start};
use crate::read_loop::LoopLink;

/// Reads the merged log from a place of its own. It loses nothing: when it is a whole log behind,
/// reading pauses and the children block as on a full pipe, so read on, drop it, or make it
/// [`lossy`](LogReader::lossy).
///
/// It is an async stream of batches; [`next`](LogReader::next) and
/// [`blocking`](LogReader::blocking) read it without one.
#[derive(Debug)]
pub struct LogReader {
    link: Arc<LoopLink>,
    cursor: CursorId,
}

impl LogReader {
    pub(crate) fn open(link: Arc<LoopLink>, start: Start) -> Self {
        let cursor = link.log().open(start, true);
        LogReader { link, cursor }
    }

    /// Never holds reading back from now on: what the log drops meanwhile is told as a gap.
    #[must_use]
    pub fn lossy(self) -> Self {
        self.link.log().make_lossy(self.cursor);
        self.link.room_changed();
        self
    }

    /// Waits for entries after the last batch. `None` once the policy has stopped and everything
    /// has been read. Cancel-safe: a dropped call takes nothing.
    pub async fn next(&mut self) -> Option<Batch> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        let read = self.link.log().read_or_wait(self.cursor, context.waker());
        match read {
            Some(batch) => {
                self.link.room_changed();
                batch.iter().for_each(Batch::trace_gap);
                Poll::Ready(batch)
            }
            None => Poll::Pending,
        }
    }

    /// The entries that are there now, or `None`.
    pub fn try_next(&mut self) -> Option<Batch> {
        let batch = self.link.log().read(self.cursor);
        self.link.room_changed();
        batch.iter().for_each(Batch::trace_gap);
        batch
    }

    /// The same batches as an iterator that blocks the thread while there are none, for threads
    /// outside of any async runtime.
    pub fn blocking(self) -> impl Iterator<Item = Batch> {
        std::iter::from_fn(move || {
            // The iterator may have gone to another thread since the last call.
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            loop {
                match self.poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(batch) => return batch,
                    Poll::Pending => thread::park(),
                }
            }
        })
    }
}

impl Stream for LogReader {
    type Item = Batch;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        self.poll(context)
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
        self.link.log().close(self.cursor);
        self.link.room_changed();
    }
}
