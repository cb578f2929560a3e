//! `PidfdWatcher`: a pidfd for each child, on the attached loop.

use std::{
    io::ErrorKind,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::oneshot;

use super::{
    ChildWatcher, ExitHandler, Registered,
    contract::warn_of_pending,
    registry::{Registry, admit_with_pidfd},
};
use crate::{asyncio::EventLoop, restart::trace, sys::readiness, types::WatchError};

/// Watches each child by its pidfd, on the attached loop. Handlers' closures run on that loop. The
/// default on Linux.
///
/// asyncio's `PidfdChildWatcher`, but handlers outlive a detachment: the next attachment notifies
/// the handler of a child that ended meanwhile.
#[derive(Debug, Default)]
pub struct PidfdWatcher {
    /// Locked before the registry, if both are locked.
    on: Mutex<Option<EventLoop>>,
    children: Arc<Registry<Wait>>,
}

/// The task that waits on the attached loop, if any. It ends when this is dropped.
type Wait = Option<oneshot::Sender<()>>;

impl PidfdWatcher {
    /// A watcher that is not attached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn on(&self) -> MutexGuard<'_, Option<EventLoop>> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the task that waits for a child.
fn wait_on(
    on: &EventLoop,
    children: &Arc<Registry<Wait>>,
    pid: i32,
    registration: u64,
    pidfd: &Arc<OwnedFd>,
) -> oneshot::Sender<()> {
    let (cancel, cancelled) = oneshot::channel();
    let (children, pidfd) = (Arc::downgrade(children), Arc::clone(pidfd));
    // If the loop has ended, the child waits for the next attachment.
    on.spawn(async move {
        tokio::select! {
            _ = cancelled => {}
            Err(error) = ended(&children, pid, registration, pidfd) => {
                trace::error!(pid, %error, "a child cannot be waited for on this event loop");
                if let Some(children) = children.upgrade() {
                    children.forget(pid, registration);
                }
            }
        }
    });
    cancel
}

async fn ended(
    children: &Weak<Registry<Wait>>,
    pid: i32,
    registration: u64,
    pidfd: Arc<OwnedFd>,
) -> std::io::Result<()> {
    let mut registered = readiness::watch(Arc::clone(&pidfd));
    // The earlier attachment's task may still hold the pidfd.
    while matches!(&registered, Err((_, error)) if error.kind() == ErrorKind::AlreadyExists) {
        tokio::task::yield_now().await;
        registered = readiness::watch(Arc::clone(&pidfd));
    }
    let pidfd = registered.map_err(|(_, error)| error)?;
    loop {
        let mut ready = pidfd.readable().await?;
        let Some(children) = children.upgrade() else { return Ok(()) };
        if children.finish(pid, registration)? {
            return Ok(());
        }
        ready.clear_ready();
    }
}

impl ChildWatcher for PidfdWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        let on = self.on().clone().filter(EventLoop::is_running).ok_or(WatchError::Inactive)?;
        let admitted = admit_with_pidfd(pid, handler, Some(&on))?;
        let Some((handler, pidfd)) = admitted else { return Ok(()) };
        let registered = Registered { handler, on: None };
        let replaced = {
            // Asked again, and locked: an attachment comes wholly before or wholly after this.
            let on = self.on();
            let on = on.as_ref().ok_or(WatchError::Inactive)?;
            self.children.add(pid, registered, pidfd, |registration, pidfd| {
                Ok(Some(wait_on(on, &self.children, pid, registration, pidfd)))
            })
        };
        replaced.map(drop)
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.children.remove(pid)
    }

    fn attach_loop(&self, event_loop: Option<EventLoop>) -> Result<(), WatchError> {
        let mut on = self.on();
        if let Some(event_loop) = &event_loop {
            if self.children.is_closed() || !event_loop.is_running() {
                return Err(WatchError::Inactive);
            }
            if on.as_ref().is_some_and(|on| on == event_loop && on.is_running()) {
                return Ok(());
            }
        }
        self.children.restart(|pid, registration, pidfd| {
            let event_loop = event_loop.as_ref()?;
            Some(wait_on(event_loop, &self.children, pid, registration, pidfd))
        });
        let to = event_loop.clone();
        let before = std::mem::replace(&mut *on, event_loop);
        drop(on);
        warn_of_pending(self.children.len(), before.as_ref(), to.as_ref());
        drop(before);
        Ok(())
    }

    fn is_active(&self) -> bool {
        self.on().as_ref().is_some_and(EventLoop::is_running)
    }

    fn close(&self) {
        let before = self.on().take();
        drop((before, self.children.close()));
    }
}
