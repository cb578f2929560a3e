//! `waitid` with the resource usage.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, waitid},
};

use crate::{ExitStatus, ResourceUsage};

/// Which child to ask after.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// The child that the pidfd names, even if its number is in use again.
    Pidfd(BorrowedFd<'a>),
    /// The child that has this number now.
    Pid(i32),
    /// Any child of this process.
    Any,
}

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    pub(crate) status: ExitStatus,
    pub(crate) usage: ResourceUsage,
}

/// Whether an error of [`peek`] or [`reap`] says that the child does not exist (any more).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECHILD)
}

/// Whether a child has ended, without reaping it. `ECHILD` if there is none to wait for.
pub(crate) fn peek(which: Which<'_>) -> io::Result<Option<Ended>> {
    wait(which, libc::WNOHANG | libc::WNOWAIT)
}

/// Reaps a child if it has ended.
pub(crate) fn reap(which: Which<'_>) -> io::Result<Option<Ended>> {
    wait(which, libc::WNOHANG)
}

/// Reaps a process that a signal ended before its program ran; `None` if the program runs.
///
/// 1. The signal ends the process. The kernel resumes its parent as soon as the process has given
///    up the memory, some time before it can be reaped: hence the wait.
/// 2. A process has no exit signal until its exec, so `__WCLONE` finds it before the exec only. For
///    a process that runs its program the answer is `ECHILD` at once.
pub(crate) fn reap_unborn(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    loop {
        match wait(Which::Pidfd(pidfd), libc::__WCLONE) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended.ok().flatten(),
        }
    }
}

/// Reaps a process that is of no use and has ended, or is about to.
pub(crate) fn discard(pidfd: impl AsFd) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL;
    while waitid(Id::PIDFd(pidfd.as_fd()), flags) == Err(Errno::EINTR) {}
}

/// nix refuses the status of a child that a real-time signal ended, and neither nix nor rustix
/// returns the rusage; wait4 does, but takes a PID and cannot peek.
fn wait(which: Which<'_>, flags: libc::c_int) -> io::Result<Option<Ended>> {
    let (kind, id) = match which {
        Which::Pidfd(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd()),
        Which::Pid(pid) => (libc::P_PID, pid),
        Which::Any => (libc::P_ALL, 0),
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both out-pointers are to memory of their type that lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            kind,
            id,
            info.as_mut_ptr(),
            libc::WEXITED | flags,
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
    Ok(Some(Ended { pid, status, usage: resource_usage(&usage) }))
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
