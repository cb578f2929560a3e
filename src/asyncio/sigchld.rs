//! What the `SIGCHLD` watchers share: the task on a loop that the signal wakes.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::contract::warn_of_pending;
use crate::{
    asyncio::EventLoop,
    restart::trace,
    sys::{
        readiness,
        signal_handler::{Listener, listen},
    },
    types::WatchError,
};

/// How soon after a signal every child is asked after: signals coalesce, and a stolen status shows
/// only when its child is asked after. Also how often the disposition is checked: if other code has
/// replaced our handler, no signal comes.
const AUDIT: Duration = Duration::from_millis(250);

/// A watcher that can be woken.
pub(super) trait Collector: Send + Sync + 'static {
    /// Finds a child that has ended, at little cost.
    fn collect(&self);
    /// Asks after every child.
    fn collect_all(&self);
}

/// Holds the signal's handler and the task. Its drop ends both.
pub(super) struct Listening {
    on: EventLoop,
    _listener: Arc<Listener>,
    _cancel: oneshot::Sender<()>,
}

impl Listening {
    /// Wakes the collector on this loop: once now, and from now on at each signal.
    pub(super) fn start<C: Collector>(
        on: EventLoop,
        collector: &Arc<C>,
    ) -> Result<Self, WatchError> {
        let failed =
            |step| move |source| WatchError::System { what: "SIGCHLD".into(), step, source };
        let listener = Arc::new(listen(libc::SIGCHLD).map_err(failed("install its handler"))?);
        let edges = listener.edges().map_err(failed("duplicate its eventfd"))?;
        let (cancel, cancelled) = oneshot::channel();
        let wakes = woken(Arc::downgrade(collector), Arc::downgrade(&listener), edges);
        let took = on.spawn(async move {
            tokio::select! {
                _ = cancelled => {}
                Err(error) = wakes => trace::error!(%error, "SIGCHLD can no longer be waited for"),
            }
        });
        if !took {
            return Err(WatchError::Inactive);
        }
        Ok(Listening { on, _listener: listener, _cancel: cancel })
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Listening").field("on", &self.on).finish_non_exhaustive()
    }
}

/// The attachment of a watcher that works on one loop.
#[derive(Debug, Default)]
pub(super) struct Attachment(Mutex<Attached>);

#[derive(Debug, Default)]
struct Attached {
    listening: Option<Listening>,
    closed: bool,
}

impl Attachment {
    fn lock(&self) -> MutexGuard<'_, Attached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop, if it runs.
    pub(super) fn on(&self) -> Result<EventLoop, WatchError> {
        let on = self.lock().listening.as_ref().map(|listening| listening.on.clone());
        on.filter(EventLoop::is_running).ok_or(WatchError::Inactive)
    }

    /// Attaches a collector that has this many pending handlers, or detaches it.
    pub(super) fn change<C: Collector>(
        &self,
        event_loop: Option<EventLoop>,
        collector: &Arc<C>,
        pending: usize,
    ) -> Result<(), WatchError> {
        let mut attached = self.lock();
        if attached.closed && event_loop.is_some() {
            return Err(WatchError::Inactive);
        }
        // The new one first, so that the signal's handler stays installed.
        let to = event_loop.clone();
        let listening = event_loop.map(|on| Listening::start(on, collector)).transpose()?;
        let before = std::mem::replace(&mut attached.listening, listening);
        drop(attached);
        warn_of_pending(pending, before.as_ref().map(|before| &before.on), to.as_ref());
        drop(before);
        Ok(())
    }

    pub(super) fn close(&self) {
        let mut attached = self.lock();
        attached.closed = true;
        let listening = attached.listening.take();
        drop(attached);
        drop(listening);
    }
}

async fn woken<C: Collector>(
    collector: Weak<C>,
    listener: Weak<Listener>,
    edges: OwnedFd,
) -> io::Result<()> {
    let edges = readiness::watch(edges).map_err(|(_, error)| error)?;
    let mut audit = interval(AUDIT);
    audit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first audit is due at once, for the children that ended before the attachment.
    let mut active = true;
    loop {
        let signalled = tokio::select! {
            edge = edges.readable() => {
                edge?.clear_ready();
                true
            }
            _ = audit.tick() => false,
        };
        let (Some(collector), Some(listener)) = (collector.upgrade(), listener.upgrade()) else {
            return Ok(());
        };
        if signalled {
            active = true;
            collector.collect();
        } else if !listener.in_place() || std::mem::take(&mut active) {
            collector.collect_all();
        } else {
            // The signal may be blocked in every thread.
            collector.collect();
        }
    }
}
