//! The kernel's name of a thread, for one that cannot be joined.

use std::path::PathBuf;

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadId(i32);

impl ThreadId {
    /// The calling thread's.
    pub(crate) fn current() -> Self {
        ThreadId(nix::unistd::gettid().as_raw())
    }

    /// Whether the thread is still there. Without `/proc`, it is not known to be.
    pub(crate) fn is_alive(self) -> bool {
        PathBuf::from(format!("/proc/self/task/{}", self.0)).exists()
    }
}
