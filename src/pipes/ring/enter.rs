//! Making the ring, and entering the kernel in the ways that the driver needs.

use std::{io, time::Duration};

use io_uring::{
    EnterFlags, IoUring, squeue,
    types::{SubmitArgs, Timespec},
};
use nix::errno::Errno;

/// The entries of a ring. Its pages count against the locked memory of a user without privileges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// More submissions are sent in several calls.
    pub(super) submissions: u32,
    /// The kernel keeps any further ones, and `drain_overflow` fetches them.
    pub(super) completions: u32,
}

/// How long a busy loop waits for more completions before it takes those that have come.
const GATHER_TIME: Duration = Duration::from_micros(50);

/// How many completions a busy loop waits for.
const GATHER_COUNT: usize = 64;

/// How to wait for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Take those that have come.
    No,
    /// Until one has come.
    ForOne,
    /// Until many have come, or some and a short time has passed. This many reads of read buffers
    /// are in flight: when all of them are back, their writers wait for us.
    ForMany(usize),
}

/// A ring for the calling thread, and no other.
pub(super) fn build(size: Size) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(size.completions)
        .setup_clamp()
        .setup_submit_all()
        .build(size.submissions)
}

/// A kernel that takes no submission this often in a row will take none.
const TRIES: usize = 1_000;

/// Queues a submission, sending the queued ones first if the queue is full.
///
/// # Errors
///
/// If the kernel does not take the queued ones: for lack of memory, say.
///
/// # Safety
///
/// What the entry points to must stay valid until its last completion.
pub(super) unsafe fn push(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    for _ in 0..TRIES {
        // SAFETY: the caller's promise.
        if unsafe { ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        enter(ring, Wait::No)?;
    }
    Err(Errno::EAGAIN.into())
}

/// Submits what is queued, runs the kernel's deferred work, and waits.
pub(super) fn enter(ring: &mut IoUring, wait: Wait) -> io::Result<()> {
    #[cfg(feature = "fault-injection")]
    if crate::restart::fault_due(crate::restart::Fault::RingFails) {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    let entered = match wait {
        Wait::No => get_events(ring),
        Wait::ForMany(hot_reads) if ring.params().is_feature_min_timeout() => {
            let far = Timespec::from(Duration::from_secs(3600));
            let args =
                SubmitArgs::new().min_wait_usec(GATHER_TIME.as_micros() as u32).timespec(&far);
            let count = if hot_reads == 0 { GATHER_COUNT } else { hot_reads.min(GATHER_COUNT) };
            ring.submitter().submit_with_args(count, &args)
        }
        Wait::ForOne | Wait::ForMany(_) => ring.submit_and_wait(1),
    };
    match entered {
        Ok(_) => Ok(()),
        // A signal, an hour of silence, or completions that have to be taken first.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN)
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Enters without waiting. `submit` alone would run none of the deferred work.
fn get_events(ring: &mut IoUring) -> io::Result<usize> {
    let queued = ring.submission().len() as u32;
    // SAFETY: no argument is passed; the flags and counts are those of the manual page.
    unsafe {
        ring.submitter().enter::<libc::sigset_t>(queued, 0, EnterFlags::GETEVENTS.bits(), None)
    }
}

/// Whether the kernel held completions back that found no place. If so, enters it for them.
pub(super) fn drain_overflow(ring: &mut IoUring) -> io::Result<bool> {
    let overflow = ring.submission().cq_overflow();
    if overflow {
        enter(ring, Wait::No)?;
    }
    Ok(overflow)
}
