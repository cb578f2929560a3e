//! Signal handlers of event loops: a signal becomes a message.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::ThreadId,
};

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use super::EventLoop;
use crate::sys::{
    readiness,
    signal_handler::{Listener, count, listen},
};

use crate::restart::trace;

/// A signal has arrived. Signals coalesce: several in a short time can be one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct SignalArrived {
    /// The signal's number.
    pub signal: i32,
}

/// A signal handler could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalHandlerError {
    /// `SIGKILL` and `SIGSTOP`, which no program can handle.
    #[error("signal {0} (SIGKILL, SIGSTOP) cannot be handled by any program")]
    Unhandleable(i32),
    /// No signal has this number.
    #[error("{0} is not the number of a signal (1 to 64)")]
    Invalid(i32),
    /// The loop has ended.
    #[error("the event loop has ended: it cannot handle signal {0}")]
    LoopEnded(i32),
    /// The operating system refused.
    #[error("cannot handle signal {signal}: {source}")]
    Refused {
        /// The signal's number.
        signal: i32,
        /// What the operating system said.
        source: io::Error,
    },
}

/// One loop's handler of one signal. Its drop releases the signal and ends the loop's task.
struct Handler {
    registration: u64,
    _listener: Listener,
    _cancel: oneshot::Sender<()>,
}

type Handlers = HashMap<(ThreadId, i32), Handler>;

static HANDLERS: LazyLock<Mutex<Handlers>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

fn handlers() -> MutexGuard<'static, Handlers> {
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventLoop {
    /// Sends a message to the recipient, from this loop, each time the signal arrives. A loop has
    /// one handler for a signal; a second one replaces it. Several loops can listen to the same
    /// signal, and each is notified. The signal's earlier handler, if any, is still called.
    ///
    /// The semantics of asyncio's `loop.add_signal_handler`, for any thread's loop.
    ///
    /// # Errors
    ///
    /// [`SignalHandlerError`] if the signal cannot be handled, or the loop has ended.
    pub fn add_signal_handler(
        &self,
        signal: i32,
        to: Recipient<SignalArrived>,
    ) -> Result<(), SignalHandlerError> {
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            return Err(SignalHandlerError::Unhandleable(signal));
        }
        // The C library reserves the first real-time signals.
        if !(1..=libc::SIGRTMAX()).contains(&signal) || (32..libc::SIGRTMIN()).contains(&signal) {
            return Err(SignalHandlerError::Invalid(signal));
        }
        let refused = |source| SignalHandlerError::Refused { signal, source };
        let listener = listen(signal).map_err(refused)?;
        let edges = listener.edges().map_err(refused)?;
        let seen = listener.count();
        let (cancel, cancelled) = oneshot::channel();
        let registration = NEXT.fetch_add(1, Relaxed);
        let key = (self.thread(), signal);
        let withdrawn = Withdrawn { key, registration };
        let before =
            handlers().insert(key, Handler { registration, _listener: listener, _cancel: cancel });
        drop(before);
        let took = self.spawn(async move {
            let _withdrawn = withdrawn;
            tokio::select! {
                _ = cancelled => {}
                Err(error) = deliver(signal, seen, edges, &to) => {
                    trace::error!(signal, %error, "a signal can no longer be handled");
                }
            }
        });
        if took { Ok(()) } else { Err(SignalHandlerError::LoopEnded(signal)) }
    }

    /// Removes this loop's handler of the signal. Returns false if it has none. When no loop has a
    /// handler any more, the signal's earlier disposition returns.
    pub fn remove_signal_handler(&self, signal: i32) -> bool {
        let removed = handlers().remove(&(self.thread(), signal));
        removed.is_some()
    }
}

async fn deliver(
    signal: i32,
    mut seen: usize,
    edges: OwnedFd,
    to: &Recipient<SignalArrived>,
) -> io::Result<std::convert::Infallible> {
    let edges = readiness::watch(edges).map_err(|(_, error)| error)?;
    loop {
        edges.readable().await?.clear_ready();
        // The first edge can be of an earlier signal.
        let count = count(signal);
        if std::mem::replace(&mut seen, count) != count {
            to.do_send(SignalArrived { signal });
        }
    }
}

/// Withdraws a handler when its task ends, for any reason: also with its loop.
struct Withdrawn {
    key: (ThreadId, i32),
    registration: u64,
}

impl Drop for Withdrawn {
    fn drop(&mut self) {
        let mut handlers = handlers();
        if handlers.get(&self.key).is_some_and(|it| it.registration == self.registration) {
            let removed = handlers.remove(&self.key);
            drop(handlers);
            drop(removed);
        }
    }
}
