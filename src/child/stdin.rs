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
/// the writing, so no writer and no child can block anything; a child that goes away is an error to
/// the writer, never a signal.
///
/// The semantics of asyncio's write transport: [`write`](ChildStdin::write) never waits,
/// [`ready`](ChildStdin::ready) waits while more than the high water mark is queued, until no more
/// than the low one is (64 KiB and 16 KiB; [`set_water_marks`](ChildStdin::set_water_marks)).
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
/// It is tokio's `AsyncWrite`, too: a write waits until more is welcome, a flush until all is in the
/// child's pipe, and a shutdown ends the input.
pub struct ChildStdin {
    child: ChildId,
    queue: Arc<InputQueue>,
    link: Arc<Mailbox>,
    /// Names the waker of an `AsyncWrite` that waits.
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

/// One write takes so much: what comes at once may be long, and others write, too.
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
            // Shut down before.
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

    /// Queues bytes, whole and in the order of the calls. Never waits: see
    /// [`ready`](ChildStdin::ready).
    ///
    /// # Errors
    ///
    /// [`StdinError::Ended`] after the end, [`StdinError::Unread`] once the child reads no more.
    pub fn write(&self, bytes: impl Into<Bytes>) -> Result<(), StdinError> {
        self.queue.push(bytes.into())?;
        self.tell();
        Ok(())
    }

    /// Waits until writing more is welcome. To be asked before a write: after the last one, a child
    /// that has read all of it may end at any time, and then nothing more is welcome.
    ///
    /// # Errors
    ///
    /// [`StdinError::Unread`] once the child reads no more.
    pub async fn ready(&self) -> Result<(), StdinError> {
        self.queue.ready(false).await
    }

    /// Waits until all that was written is in the child's pipe. That stays so if the child ends then.
    ///
    /// # Errors
    ///
    /// [`StdinError::Unread`] where the child has read no more before all was in its pipe,
    /// [`StdinError::Ended`] where an abort has discarded some.
    pub async fn flush(&self) -> Result<(), StdinError> {
        self.queue.ready(true).await
    }

    /// Writes a whole stream of bytes, at the child's pace, without ending the input. At the end the
    /// last of them may be queued still: see [`flush`](ChildStdin::flush).
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

    /// Ends the input after what is queued: the child then reads end of file. On a terminal that is
    /// the character 4 (Ctrl-D), twice after a line that was begun; a child that has switched off
    /// the terminal's line editing reads it as it is.
    ///
    /// # Errors
    ///
    /// As [`write`](ChildStdin::write).
    pub fn write_eof(&self) -> Result<(), StdinError> {
        self.queue.end()?;
        self.tell();
        Ok(())
    }

    /// Ends the input at once and forgets what is queued. A terminal stays open:
    /// [`Child::hang_up`](crate::Child::hang_up) closes it.
    pub fn abort(&self) {
        self.queue.abort();
        self.tell();
    }

    /// Sets the water marks, in bytes.
    ///
    /// # Errors
    ///
    /// [`StdinError::Marks`] where the low one is above the high one, or the high one is 0.
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
