//! pidfds: names for processes that are never reused.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        signal::Signal,
        wait::{Id, WaitPidFlag, waitid},
    },
};

/// Opens the pidfd of a child that nobody has reaped yet. Closed on exec.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// Reaps a child that has ended or is about to, and that is no use to anyone.
pub(crate) fn discard(pidfd: OwnedFd) {
    let pidfd = pidfd.as_fd();
    while waitid(Id::PIDFd(pidfd), WaitPidFlag::WEXITED) == Err(Errno::EINTR) {}
}

/// Signals the process. `ESRCH` once it has been reaped, whatever has its number by then.
pub(crate) fn signal(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    send(pidfd.as_fd(), signal, 0)
}

/// Signals the process group that the process leads or led (Linux 6.9; `EINVAL` before).
pub(crate) fn signal_group(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
    send(pidfd.as_fd(), signal, PIDFD_SIGNAL_PROCESS_GROUP)
}

fn send(pidfd: BorrowedFd<'_>, signal: Signal, flags: libc::c_uint) -> io::Result<()> {
    // rustix's call takes no flags.
    // SAFETY: no memory is passed: the info pointer may be null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    Errno::result(result)?;
    Ok(())
}
