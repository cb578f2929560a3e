//! pidfds: names for processes that are never reused, and waiting by them.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        signal::Signal,
        wait::{Id, WaitPidFlag, waitid},
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{ExitStatus, ResourceUsage};

/// Opens the pidfd of a child that nobody has reaped yet. Closed on exec.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// Registers a pidfd with the reactor of the current runtime: it becomes readable at the exit.
/// Hands the pidfd back where that fails.
pub(crate) fn watch(pidfd: OwnedFd) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: an `OwnedFd` is open, always names the same descriptor, and is not taken out.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    watched.map_err(|error| error.into_parts())
}

/// Whether the child has ended, without reaping it. `ECHILD` where it is not ours to wait for.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(wait(pidfd, libc::WNOWAIT)?.is_some())
}

/// Reaps the child if it has ended.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<(ExitStatus, ResourceUsage)>> {
    wait(pidfd, 0)
}

/// Reaps a child that has ended or is about to, and that is no use to anyone.
pub(crate) fn discard(pidfd: OwnedFd) {
    let pidfd = pidfd.as_fd();
    while waitid(Id::PIDFd(pidfd), WaitPidFlag::WEXITED) == Err(Errno::EINTR) {}
}

/// `waitid` for an end, without blocking. nix refuses the status of a child that a real-time signal
/// ended, and neither nix nor rustix gives the rusage; wait4 does, but takes a PID.
fn wait(
    pidfd: BorrowedFd<'_>,
    flags: libc::c_int,
) -> io::Result<Option<(ExitStatus, ResourceUsage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both out-pointers are to memory of their type that lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            info.as_mut_ptr(),
            libc::WEXITED | libc::WNOHANG | flags,
            usage.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: both were zeroed, a valid value, and then only written by the kernel.
    let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
    // SAFETY: waitid filled the fields of a SIGCHLD, or left all zero where nothing had ended.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let status = match info.si_code {
        libc::CLD_EXITED => ExitStatus::Code(status),
        code => ExitStatus::Signaled { signal: status, core_dumped: code == libc::CLD_DUMPED },
    };
    Ok(Some((status, resource_usage(&usage))))
}

fn resource_usage(usage: &libc::rusage) -> ResourceUsage {
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    ResourceUsage {
        user_time: time(usage.ru_utime),
        system_time: time(usage.ru_stime),
        peak_memory_kib: usage.ru_maxrss.unsigned_abs(),
    }
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
