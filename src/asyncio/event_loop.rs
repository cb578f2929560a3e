//! `EventLoop`: a handle of an arbiter that can be compared and asked, from any thread.

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
/// Corresponds to an asyncio event loop. The handle of a loop that has ended stays valid, but runs
/// nothing.
#[derive(Clone)]
pub struct EventLoop {
    arbiter: ArbiterHandle,
    thread: ThreadId,
    /// The thread of a loop that [`EventLoop::start`] made. It ends with the last handle.
    _own: Option<Arc<OwnThread>>,
}

impl EventLoop {
    /// The loop that runs on the current thread, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        let arbiter = Arbiter::try_current().filter(ArbiterHandle::alive)?;
        Some(EventLoop { arbiter, thread: thread::current().id(), _own: None })
    }

    /// Starts a new loop on a thread of its own, with an actix System of its own. It ends when its
    /// last handle is dropped.
    ///
    /// # Errors
    ///
    /// If the thread or its runtime cannot be made.
    pub fn start() -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let runtime = match sys::runtime::current_thread() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            System::with_tokio_rt(move || runtime).block_on(async {
                // `start` waits for this.
                let _ = ready.send(Ok(Arbiter::current()));
                // Ends when the sender is dropped.
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

    /// Whether the loop accepts work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.arbiter.alive()
    }

    /// Runs a future on the loop. Returns false if the loop has ended.
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
        // If the last handle is dropped on the loop's own thread, that thread ends by itself.
        if let Some(thread) = thread.filter(|it| it.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            trace::error!("an event loop's thread panicked");
        }
    }
}
