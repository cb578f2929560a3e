//! SIGPIPE on the library's threads: a write without a reader is EPIPE there, also in a host that has
//! reset the signal to its default.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Blocks SIGPIPE in this thread and those that it starts.
pub(crate) fn block_sigpipe() {
    change(SigmaskHow::SIG_BLOCK);
}

/// Unblocks it, for a thread whose mask children may inherit.
pub(crate) fn unblock_sigpipe() {
    change(SigmaskHow::SIG_UNBLOCK);
}

fn change(how: SigmaskHow) {
    let mut sigpipe = SigSet::empty();
    sigpipe.add(Signal::SIGPIPE);
    if let Err(error) = sigpipe.thread_swap_mask(how) {
        tracing::warn!(%error, "the signal mask of a thread cannot be changed");
    }
}
