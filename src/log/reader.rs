//! `LogReader`: a cursor of the user's own on the merged log, pulled instead of pushed.

use std::{future::poll_fn, sync::Arc, task::Poll};

use super::{Batch, CursorId, Start};
use crate::read_loop::LoopLink;

/// Reads the merged log from a place of its own. It loses nothing: when it is a whole log behind,
/// reading pauses and the children block as on a full pipe, so read on or drop it.
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

    /// Waits for entries after the last batch. `None` once the policy has stopped and everything
    /// has been read. Cancel-safe: a dropped call takes nothing.
    pub async fn next(&mut self) -> Option<Batch> {
        let batch = poll_fn(|cx| match self.link.log().read_or_wait(self.cursor, cx.waker()) {
            Some(batch) => Poll::Ready(batch),
            None => Poll::Pending,
        })
        .await;
        self.link.room_changed();
        batch
    }

    /// The entries that are there now, or `None`.
    pub fn try_next(&mut self) -> Option<Batch> {
        let batch = self.link.log().read(self.cursor);
        self.link.room_changed();
        batch
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.link.log().close(self.cursor);
        self.link.room_changed();
    }
}
