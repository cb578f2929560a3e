//! `ThreadedWatcher`: a waiting thread for each child.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::{
    ChildWatcher, ExitHandler, Registered,
    registry::{Registry, admit_with_pidfd},
};
use crate::{asyncio::EventLoop, restart::trace, sys::signal_mask, types::WatchError};

/// Waits for each child on a thread of its own. It needs no loop: attaching has no effect, and it
/// is active until it is closed. A handler's closure runs on the loop of the thread that added it.
/// If that thread has none, it runs on the waiting thread.
///
/// asyncio's `ThreadedChildWatcher`, but a handler can be replaced and removed, and a waiting
/// thread ends with its handler and with the watcher.
#[derive(Debug, Default)]
pub struct ThreadedWatcher(Arc<Registry<Thread>>);

/// A waiting thread. The drop tells it to end.
#[derive(Debug)]
struct Thread {
    cancel: Arc<EventFd>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The only error is a counter at its limit, and then the thread wakes too.
        let _ = self.cancel.write(1);
    }
}

/// A waiting thread calls a few functions and, at the end, a handler.
const STACK: usize = 256 * 1024;

impl ThreadedWatcher {
    /// A watcher, ready for use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The body of a waiting thread.
fn wait(
    children: &Registry<Thread>,
    pid: i32,
    registration: u64,
    pidfd: &OwnedFd,
    cancel: &EventFd,
) {
    let pidfd_and_cancel = [pidfd.as_fd(), cancel.as_fd()];
    let mut ended = blocked(&pidfd_and_cancel, PollTimeout::NONE);
    loop {
        let finished = ended.and_then(|ended| match ended {
            true => children.finish(pid, registration),
            false => Ok(true),
        });
        match finished {
            Ok(true) => return,
            // A tracer traces the child and has not let it go yet.
            Ok(false) => ended = blocked(&pidfd_and_cancel[1..], TRACED.into()),
            Err(error) => {
                trace::error!(pid, %error, "a child cannot be waited for");
                return children.forget(pid, registration);
            }
        }
    }
}

/// How often to ask after a traced child that has ended, in milliseconds.
const TRACED: u8 = 20;

/// Blocks until a descriptor is readable or the time is over. Returns false if the last descriptor,
/// which cancels the wait, is readable.
fn blocked(descriptors: &[BorrowedFd<'_>], timeout: PollTimeout) -> io::Result<bool> {
    let mut polled: Vec<_> =
        descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    while let Err(error) = poll(&mut polled, timeout) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    Ok(polled.last().and_then(PollFd::any) != Some(true))
}

impl ChildWatcher for ThreadedWatcher {
    fn add_child_handler(&self, pid: i32, handler: ExitHandler) -> Result<(), WatchError> {
        if !self.is_active() {
            return Err(WatchError::Inactive);
        }
        let on = EventLoop::current();
        let admitted = admit_with_pidfd(pid, handler, on.as_ref())?;
        let Some((handler, pidfd)) = admitted else { return Ok(()) };
        let error = |step| WatchError::of_child(pid, step);
        let cancel = EventFd::from_flags(EfdFlags::EFD_CLOEXEC);
        let cancel = Arc::new(cancel.map_err(io::Error::from).map_err(error("make its eventfd"))?);
        let replaced = self.0.add(pid, Registered { handler, on }, pidfd, |registration, pidfd| {
            let (children, pidfd, cancelled) =
                (Arc::clone(&self.0), Arc::clone(pidfd), Arc::clone(&cancel));
            let run = move || wait(&children, pid, registration, &pidfd, &cancelled);
            let thread = thread::Builder::new().name("actix-process-wait".into()).stack_size(STACK);
            let handle =
                signal_mask::start_thread(thread, run).map_err(error("start its thread"))?;
            Ok(Thread { cancel, handle: Some(handle) })
        });
        replaced.map(drop)
    }

    fn remove_child_handler(&self, pid: i32) -> bool {
        self.0.remove(pid)
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
        if self.is_active() { Ok(()) } else { Err(WatchError::Inactive) }
    }

    fn is_active(&self) -> bool {
        !self.0.is_closed()
    }

    fn close(&self) {
        for mut thread in self.0.close() {
            let handle = thread.handle.take();
            drop(thread);
            if let Some(handle) = handle.filter(|it| it.thread().id() != thread::current().id())
                && handle.join().is_err()
            {
                trace::error!("a waiting thread panicked");
            }
        }
    }
}

impl Drop for ThreadedWatcher {
    fn drop(&mut self) {
        self.close();
    }
}
