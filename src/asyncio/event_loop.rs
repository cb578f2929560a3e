//! `EventLoop`: an arbiter by a handle that can be compared and asked, and that other threads use.

use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle, ThreadId},
};

use actix::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

use crate::{
    restart::trace,
    sys::{self, signal_mask},
};

/// An event loop: the arbiter of one thread.
///
/// The place of an asyncio event loop. A handle of one that has ended stays valid; it only
/// runs nothing any more.
#[derive(Clone)]
pub struct EventLoop {
    arbiter: ArbiterHandle,
    thread: ThreadId,
    /// The thread of a loop that was made by [`EventLoop::start`]; it ends with the last handle.
    _own: Option<Arc<OwnThread>>,
}

impl EventLoop {
    /// The loop that runs on the current thread.
    #[must_use]
    pub fn current() -> Option<Self> {
        let arbiter = Arbiter::try_current().filter(ArbiterHandle::alive)?;
        Some(EventLoop { arbiter, thread: thread::current().id(), _own: None })
    }

    /// A new loop on a thread of its own, with an actix System of its own. It ends when the last
    /// handle of it is dropped.
    ///
    /// # Errors
    ///
    /// Where the thread or its runtime cannot be made.
    pub fn start() -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let runtime = match sys::runtime::current_thread() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            System::with_tokio_rt(move || runtime).block_on(async {
                // The one who starts it waits for this.
                let _ = ready.send(Ok(Arbiter::current()));
                // Ends by the sender's drop.
                let _ = stopped.await;
            });
        };
        let builder = thread::Builder::new().name("actix-process-loop".into());
        let thread = signal_mask::start_thread(builder, run)?;
        let id = thread.thread().id();
        let arbiter = started.recv().map_err(|_| io::Error::other("the loop's thread ended"))??;
        let own = OwnThread { stop: Some(stop), thread: Mutex::new(Some(thread)) };
        Ok(EventLoop { arbiter, thread: id, _own: Some(Arc::new(own)) })
    }

    /// Whether it takes work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.arbiter.alive()
    }

    /// Runs a future on the loop; false where that has ended.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> bool {
        self.arbiter.spawn(future)
    }

    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }
}

impl PartialEq for EventLoop {
    fn eq(&self, other: &Self) -> bool {
        self.thread == other.thread
    }
}

impl Eq for EventLoop {}

impl fmt::Debug for EventLoop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EventLoop")
            .field("thread", &self.thread)
            .field("running", &self.is_running())
            .finish()
    }
}

struct OwnThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle can go on the loop's own thread, which then ends by itself.
        if let Some(thread) = thread.filter(|it| it.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            trace::error!("an event loop's thread panicked");
        }
    }
}
