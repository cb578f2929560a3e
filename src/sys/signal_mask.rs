//! The signal mask of the library's threads: they take no signal that is meant for the host.

use std::{
    io,
    thread::{self, JoinHandle},
};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// A thread raises these itself. If they are blocked then, the kernel ends the program without
/// calling the host's handler for crashes.
const FAULTS: [Signal; 6] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// Runs a closure with every signal blocked that another thread can take. Threads that it starts
/// inherit the mask.
pub(crate) fn with_all_blocked<R>(run: impl FnOnce() -> R) -> R {
    let mut all = SigSet::all();
    FAULTS.iter().for_each(|fault| all.remove(*fault));
    // It fails only for an invalid argument.
    let before = all.thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let done = run();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    done
}

/// Starts a thread of the library's own. There a write without a reader is `EPIPE`, and one over
/// the limit of a file's size `EFBIG`. The host's `sigwait` gets what is sent to the process.
pub(crate) fn start_thread<T: Send + 'static>(
    builder: thread::Builder,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    with_all_blocked(|| builder.spawn(run))
}
