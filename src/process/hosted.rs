//! `HostedWatcher`: a child watcher inside a policy. It may be the user's own, so its panics are
//! contained here: otherwise they would end a part of the library and lose a child.

use std::{io, sync::Arc};

use crate::{
    asyncio::{ChildWatcher, ExitHandler, Registering},
    restart::contain,
    types::WatchError,
};

/// The watcher that reports the children's exits.
#[derive(Clone, Debug)]
pub(crate) struct HostedWatcher(Arc<dyn ChildWatcher>);

impl HostedWatcher {
    pub(crate) fn new(watcher: Arc<dyn ChildWatcher>) -> Self {
        HostedWatcher(watcher)
    }

    pub(crate) fn is_active(&self) -> bool {
        self.guarded(|watcher| watcher.is_active()).unwrap_or(false)
    }

    pub(crate) fn registering(&self) -> Registering {
        self.guarded(|watcher| watcher.registering()).unwrap_or_default()
    }

    pub(crate) fn add(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        self.guarded(|watcher| watcher.add_child_handler(pid, handler)).unwrap_or_else(|| {
            // The watcher may have kept the handler; the child must not be reaped twice.
            self.remove(pid);
            Err(WatchError::System {
                what: format!("child {pid}"),
                step: "add its handler",
                source: io::Error::other("the child watcher panicked"),
            })
        })
    }

    pub(crate) fn remove(&self, pid: i32) -> bool {
        // A watcher that panicked is treated as having removed the handler.
        self.guarded(|watcher| watcher.remove_child_handler(pid)).unwrap_or(true)
    }

    fn guarded<R>(&self, call: impl FnOnce(&dyn ChildWatcher) -> R) -> Option<R> {
        contain(format_args!("the hosted {:?}", self.0), || call(&*self.0))
    }
}
