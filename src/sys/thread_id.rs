//! The kernel's id of a thread, for a thread that cannot be joined.

use std::path::PathBuf;

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadId(i32);

impl ThreadId {
    /// The calling thread's.
    pub(crate) fn current() -> Self {
        ThreadId(nix::unistd::gettid().as_raw())
    }

    /// Whether the thread still exists. False without `/proc`.
    pub(crate) fn is_alive(self) -> bool {
        PathBuf::from(format!("/proc/self/task/{}", self.0)).exists()
    }
}
