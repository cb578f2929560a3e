//! `ChildStdin`: the writer's side of a child's standard input.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::AsyncWrite;

use crate::{
    ChildId,
    cell::InputQueue,
    read_loop::{LoopCommand, Mailbox},
    types::StdinError,
};

/// Writes to a child's standard input ([`Stdin::Piped`](crate::Stdin::Piped)). The read loop does
/// the actual writing, so a slow child blocks no thread. If the child ends, the writer gets an
/// error and never a signal.
///
/// It has the semantics of asyncio's write transport: [`write`](ChildStdin::write) never waits. If
/// more than the high water mark is queued, [`ready`](ChildStdin::ready) waits for the low one (64
/// KiB and 16 KiB; [`set_water_marks`](ChildStdin::set_water_marks)).
///
/// ```
/// # use std::time::Duration;
/// # use actix_process::{Command, Policy, Stdin};
/// # actix::System::new().block_on(async {
/// # let policy = Policy::start()?;
/// let child = policy.spawn(Command::new("wc").arg("-l").stdin(Stdin::Piped)).await?;
/// let stdin = child.stdin().expect("it was asked for");
/// for line in ["one\n", "two\n"] {
///     stdin.ready().await?;
///     stdin.write(line)?;
/// }
/// stdin.write_eof()?;
/// assert_eq!(child.output().await?.stdout.trim_ascii(), b"2");
/// # policy.shutdown(Duration::ZERO).await;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// It is tokio's `AsyncWrite`, too: a write waits as `ready` does, a flush waits until all bytes
/// are in the child's pipe, and a shutdown ends the input.
pub struct ChildStdin {
    child: ChildId,
    queue: Arc<InputQueue>,
    link: Arc<Mailbox>,
    /// The key of the waker of a waiting `AsyncWrite`.
    waiting: Option<u64>,
}

impl Clone for ChildStdin {
    fn clone(&self) -> Self {
        ChildStdin::new(self.child, Arc::clone(&self.queue), Arc::clone(&self.link))
    }
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        self.queue.forget(self.waiting);
    }
}

/// Most bytes that one `poll_write` takes, so that other writers get their turns.
const ONE_WRITE: usize = 64 * 1024;

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.queue.poll_ready(false, &mut this.waiting, context)).map_err(into_io)?;
        let part = &bytes[..bytes.len().min(ONE_WRITE)];
        this.write(Bytes::copy_from_slice(part)).map_err(into_io)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.queue.poll_ready(true, &mut this.waiting, context).map_err(into_io)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write_eof() {
            // It was already shut down.
            Ok(()) | Err(StdinError::Ended) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(into_io(error))),
        }
    }
}

fn into_io(error: StdinError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

impl ChildStdin {
    pub(crate) fn new(child: ChildId, queue: Arc<InputQueue>, link: Arc<Mailbox>) -> Self {
        ChildStdin { child, queue, link, waiting: None }
    }

    /// Queues all of the bytes, in the order of the calls. Never waits: see
    /// [`ready`](ChildStdin::ready).
    ///
    /// # Errors
    ///
    /// [`StdinError::Ended`] after the end, [`StdinError::Unread`] if the child reads no more.
    pub fn write(&self, bytes: impl Into<Bytes>) -> Result<(), StdinError> {
        self.queue.push(bytes.into())?;
        self.tell();
        Ok(())
    }

    /// Waits until the queue has room for more. Call it before a write. After the last write, a
    /// child that has read everything may end at any time, and then this is an error.
    ///
    /// # Errors
    ///
    /// [`StdinError::Unread`] if the child reads no more.
    pub async fn ready(&self) -> Result<(), StdinError> {
        self.queue.ready(false).await
    }

    /// Waits until all written bytes are in the child's pipe. `Ok` even if the child ends then.
    ///
    /// # Errors
    ///
    /// [`StdinError::Unread`] if the child stopped reading before everything was in its pipe,
    /// [`StdinError::Ended`] if an abort discarded bytes.
    pub async fn flush(&self) -> Result<(), StdinError> {
        self.queue.ready(true).await
    }

    /// Writes a whole stream of bytes at the child's pace. Does not end the input. When it returns,
    /// the last bytes may still be queued: see [`flush`](ChildStdin::flush).
    ///
    /// # Errors
    ///
    /// As [`write`](ChildStdin::write).
    pub async fn write_stream(&self, source: impl Stream<Item = Bytes>) -> Result<(), StdinError> {
        let mut source = std::pin::pin!(source);
        while let Some(bytes) = poll_fn(|context| source.as_mut().poll_next(context)).await {
            self.ready().await?;
            self.write(bytes)?;
        }
        Ok(())
    }

    /// Ends the input after the queued bytes: the child then reads end of file. On a terminal this
    /// sends the character 4 (Ctrl-D), twice after an unfinished line. A child that has switched
    /// off the terminal's line editing reads the character itself.
    ///
    /// # Errors
    ///
    /// As [`write`](ChildStdin::write).
    pub fn write_eof(&self) -> Result<(), StdinError> {
        self.queue.end()?;
        self.tell();
        Ok(())
    }

    /// Ends the input at once and discards the queued bytes. A terminal stays open:
    /// [`Child::hang_up`](crate::Child::hang_up) closes it.
    pub fn abort(&self) {
        self.queue.abort();
        self.tell();
    }

    /// Sets the water marks, in bytes.
    ///
    /// # Errors
    ///
    /// [`StdinError::Marks`] if the low mark is above the high mark, or the high mark is 0.
    pub fn set_water_marks(&self, low: usize, high: usize) -> Result<(), StdinError> {
        self.queue.set_marks(low, high)
    }

    fn tell(&self) {
        self.link.push(LoopCommand::Input(self.child));
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ChildStdin")
            .field("child", &self.child)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
