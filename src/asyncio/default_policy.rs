//! The default policy: the running arbiters, and one watcher, made at its first use.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

use super::{EventLoop, EventLoopPolicy, NoEventLoop};
use crate::{
    asyncio::{ChildWatcher, PidfdWatcher},
    types::WatchError,
};

use crate::restart::trace;

thread_local! {
    static SET: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
pub(super) struct DefaultPolicy {
    watcher: Mutex<Watcher>,
}

#[derive(Debug, Default)]
struct Watcher {
    current: Option<Arc<dyn ChildWatcher>>,
    /// Whether the host set it; false if this policy made it.
    chosen: bool,
    /// The thread whose loop the watcher was attached to. The watcher follows its loop.
    attached_from: Option<ThreadId>,
}

impl DefaultPolicy {
    fn watcher(&self) -> MutexGuard<'_, Watcher> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn chosen_watcher(&self) -> Option<Arc<dyn ChildWatcher>> {
        let watcher = self.watcher();
        watcher.current.clone().filter(|_| watcher.chosen)
    }
}

impl EventLoopPolicy for DefaultPolicy {
    fn event_loop(&self) -> Result<EventLoop, NoEventLoop> {
        let set = SET.with_borrow(Clone::clone);
        set.or_else(EventLoop::current).ok_or(NoEventLoop)
    }

    fn set_event_loop(&self, event_loop: Option<EventLoop>) {
        let before = SET.replace(event_loop.clone());
        let mut watcher = self.watcher();
        if watcher.attached_from == Some(thread::current().id())
            && let Some(current) = &watcher.current
            && let Err(error) = current.attach_loop(event_loop.or_else(EventLoop::current))
        {
            trace::warn!(%error, "the child watcher cannot follow its thread's event loop");
            watcher.attached_from = None;
        }
        drop((watcher, before));
    }

    fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, WatchError> {
        let mut watcher = self.watcher();
        let current: Arc<dyn ChildWatcher> = match &watcher.current {
            Some(current) => Arc::clone(current),
            None => Arc::clone(watcher.current.insert(Arc::new(PidfdWatcher::new()))),
        };
        if !watcher.chosen
            && !current.is_active()
            && let Ok(event_loop) = self.event_loop()
        {
            current.attach_loop(Some(event_loop))?;
            watcher.attached_from = Some(thread::current().id());
        }
        Ok(current)
    }

    fn set_child_watcher(&self, watcher: Option<Arc<dyn ChildWatcher>>) {
        let chosen = watcher.is_some();
        let new = Watcher { current: watcher, chosen, attached_from: None };
        let before = std::mem::replace(&mut *self.watcher(), new);
        if let Some(before) = before.current {
            before.close();
        }
    }
}
