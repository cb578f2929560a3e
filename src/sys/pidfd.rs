//! pidfds: names for processes that are never reused.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{errno::Errno, sys::signal::Signal};

use super::wait::{self, Which};

const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Opens the pidfd of a child of this process that has not been reaped. Closed on exec.
///
/// 1. Other code in the program reaps the child, and another process gets its PID.
/// 2. The PID is opened: the pidfd names a stranger.
/// 3. The kernel is asked for a child by the pidfd itself: a stranger is no child.
///
/// # Errors
///
/// `ECHILD` if the PID is no child's, or any other error of the kernel.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::ECHILD)?;
    let pidfd = match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Err(Errno::ECHILD.into()),
        opened => opened?,
    };
    wait::peek(Which::Pidfd(pidfd.as_fd()))?;
    Ok(pidfd)
}

/// Whether the process, alive or not reaped, can be asked after by its pidfd.
pub(super) fn probe(pidfd: impl AsFd) -> io::Result<()> {
    send(pidfd.as_fd(), 0, 0)
}

/// Signals the process. Returns `ESRCH` once it was reaped, even if its number is in use again.
pub(crate) fn signal(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    send(pidfd.as_fd(), signal as libc::c_int, 0)
}

/// Signals the process group that the process leads or led (Linux 6.9; `EINVAL` before).
pub(crate) fn signal_group(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    send(pidfd.as_fd(), signal as libc::c_int, PIDFD_SIGNAL_PROCESS_GROUP)
}

/// Whether the process group that the process leads or led has a member, also a zombie. An error
/// other than `ESRCH` says nothing of it (`EINVAL` before Linux 6.9).
pub(crate) fn probe_group(pidfd: impl AsFd) -> io::Result<bool> {
    match send(pidfd.as_fd(), 0, PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        // The group exists, and we may not signal it.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(true),
        sent => sent.map(|()| true),
    }
}

fn send(pidfd: BorrowedFd<'_>, signal: libc::c_int, flags: libc::c_uint) -> io::Result<()> {
    // rustix's call takes no flags.
    // SAFETY: no memory is passed: the info pointer may be null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    Errno::result(result)?;
    Ok(())
}
