//! A new process that borrows this one's memory until it runs its program: by `clone3`, or by
//! `clone` if a sandbox refuses `clone3` (containers do: its flags cannot be filtered).
//!
//! The C library's `posix_spawn` does the same with some 130 more system calls a child. It does not
//! say which step failed, and returns no pidfd with the process. A pidfd that is opened afterwards
//! can name a stranger, if other code in the program has reaped the child meanwhile.
//!
//! The process is made without an exit signal, and gets `SIGCHLD` from the kernel when it executes
//! its program. Until then no `wait` of the host sees it: a launch that fails stays ours alone.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicU8, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::signal::Signal};

use super::{
    exec::{Birth, BirthStep, prepare_and_execute},
    pidfd,
    signal_mask::with_all_blocked,
    wait,
};

/// A stack for children, one at a time, since the parent's thread stands still meanwhile.
#[derive(Debug)]
pub(crate) struct Stack(Box<[Aligned]>);

#[repr(align(16))]
#[derive(Clone, Copy, Debug)]
struct Aligned(#[expect(dead_code, reason = "it is only room")] [u8; 16]);

impl Stack {
    /// Far more than the few shallow calls of a child take.
    const BYTES: usize = 64 * 1024;

    pub(crate) fn new() -> Self {
        Stack(vec![Aligned([0; 16]); Self::BYTES / size_of::<Aligned>()].into())
    }
}

/// Why no child was launched.
#[derive(Debug)]
pub(crate) enum NotLaunched {
    /// The kernel made no process.
    NotCreated(Errno),
    /// The process failed in this step; it has ended and is reaped.
    Failed(BirthStep, io::Error),
    /// A signal ended the process before it ran its program; it is reaped.
    Killed(wait::Ended),
}

/// The system call that makes a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The faster one: the kernel clears the handlers of signals.
    Clone3,
    Clone,
}

/// What works here: 0 if that is not known yet, 1 for `clone3`, 2 for `clone`.
static WORKS: AtomicU8 = AtomicU8::new(0);

/// The way that works here, found by trying. A refusal by a sandbox or the kernel is remembered.
///
/// # Errors
///
/// The kernel's answer to the last way, if none works.
pub(crate) fn way() -> io::Result<Way> {
    match WORKS.load(SeqCst) {
        0 => {}
        1 => return Ok(Way::Clone3),
        _ => return Ok(Way::Clone),
    }
    let mut stack = Stack::new();
    let way = match attempt(Way::Clone3, &mut stack) {
        Err(error) if is_refusal(error.raw_os_error()) => {
            attempt(Way::Clone, &mut stack).map(|()| Way::Clone)
        }
        other => other.map(|()| Way::Clone3),
    }?;
    WORKS.store(if way == Way::Clone3 { 1 } else { 2 }, SeqCst);
    Ok(way)
}

/// From now on `clone` is used: a filter that was installed later can refuse `clone3`.
pub(crate) fn clone3_is_refused() {
    WORKS.store(2, SeqCst);
}

/// Whether an error says that the call is not available here, now or later.
pub(crate) fn is_refusal(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::ENOSYS | libc::EINVAL | libc::EPERM))
}

/// Makes a process that does nothing, and probes and reaps it as a child. The host's `wait` does
/// not see it.
fn attempt(way: Way, stack: &mut Stack) -> io::Result<()> {
    extern "C" fn nothing(_: *mut c_void) -> libc::c_int {
        // SAFETY: ends the process, and touches nothing of the memory that it shares.
        unsafe { libc::_exit(0) }
    }
    let expected = AtomicI32::new(-1);
    // SAFETY: `nothing` takes no argument, and the stack outlives it.
    let made = with_all_blocked(|| unsafe {
        make(way, stack, &expected, Entry { run: nothing, with: ptr::null_mut() })
    });
    made.map_err(|errno| io::Error::from_raw_os_error(errno as i32))?;
    // An old kernel accepts the flag and returns no pidfd.
    let pidfd = take(&expected).ok_or(Errno::ENOSYS)?;
    let probed = pidfd::probe(&pidfd);
    wait::discard(&pidfd);
    probed
}

/// A launch that is under way, seen from other threads.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// The kernel stores the pidfd here before the child does its first step.
    pidfd: Option<Arc<AtomicI32>>,
}

/// A clone call that stores the pidfd and then fails takes far less. Then the number may be reused.
const SURELY_MADE: Duration = Duration::from_millis(10);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals a child that does not get to its program: it hangs in its exec, or was stopped just
    /// before it.
    pub(crate) fn signal(&self, signal: Signal) {
        let state = self.lock();
        if state.since.is_none_or(|since| since.elapsed() < SURELY_MADE) {
            return;
        }
        let number = state.pidfd.as_ref().map_or(-1, |pidfd| pidfd.load(SeqCst));
        if number >= 0 {
            // SAFETY: the thread that waits for the birth takes the descriptor under this lock only.
            let pidfd = unsafe { BorrowedFd::borrow_raw(number) };
            // ESRCH: the child has just ended.
            let _ = pidfd::signal(pidfd, signal);
        }
    }
}

/// The child's side of a launch, in the memory that parent and child share.
struct Shared<'a, 'b> {
    birth: &'a mut Birth<'b>,
    failure: Option<(BirthStep, i32)>,
}

/// Makes the process. When it runs its program, returns its PID and its pidfd. Call this on a
/// thread that has every signal blocked.
///
/// The child starts with no signal blocked and each at its default, except those that were ignored
/// when this program was started.
pub(crate) fn launch(
    way: Way,
    stack: &mut Stack,
    birth: &mut Birth<'_>,
    under_way: &UnderWay,
) -> Result<(i32, OwnedFd), NotLaunched> {
    let mut shared = Shared { birth, failure: None };
    let number = Arc::new(AtomicI32::new(-1));
    *under_way.lock() = State { since: Some(Instant::now()), pidfd: Some(Arc::clone(&number)) };
    let entry = Entry { run: child, with: (&raw mut shared).cast() };
    // SAFETY: the stack is the child's alone and outlives its use of it, as do `shared` and `birth`:
    // by CLONE_VFORK this thread stands still until the child has executed its program or ended.
    let made = unsafe { make(way, stack, &number, entry) };
    let pidfd = {
        let mut state = under_way.lock();
        *state = State::default();
        // A failed call may have left a number there.
        made.ok().and_then(|_| take(&number))
    };
    let pid = made.map_err(NotLaunched::NotCreated)?;
    let pidfd = pidfd.ok_or(NotLaunched::NotCreated(Errno::ENOSYS))?;
    // SAFETY: `shared` lives here; the child that may have written to it has gone from this memory.
    let failure = unsafe { ptr::read_volatile(&raw const shared.failure) };
    if let Some((step, errno)) = failure {
        wait::discard(&pidfd);
        return Err(NotLaunched::Failed(step, io::Error::from_raw_os_error(errno)));
    }
    match wait::reap_unborn(pidfd.as_fd()) {
        Some(ended) => Err(NotLaunched::Killed(ended)),
        None => Ok((pid, pidfd)),
    }
}

/// The descriptor that the kernel stored, if any.
fn take(number: &AtomicI32) -> Option<OwnedFd> {
    let number = number.swap(-1, SeqCst);
    // SAFETY: the kernel stored a new pidfd there, and it is taken once.
    (number >= 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// The child until its program runs. It shares the parent's memory: only system calls here.
extern "C" fn child(shared: *mut c_void) -> libc::c_int {
    let shared = shared.cast::<Shared<'_, '_>>();
    // SAFETY: only `launch` starts this, with a `Shared` that the standing parent keeps. All that
    // `Birth` holds was made for these calls.
    unsafe {
        let step = prepare_and_execute((*shared).birth);
        ptr::write_volatile(&raw mut (*shared).failure, Some((step, Errno::last_raw())));
        libc::_exit(127)
    }
}

/// What a new process runs. It does not return.
#[derive(Clone, Copy)]
struct Entry {
    run: extern "C" fn(*mut c_void) -> libc::c_int,
    with: *mut c_void,
}

const FLAGS: i32 = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;

/// Makes a process and returns its PID; its pidfd is stored in `pidfd`.
///
/// # Safety
///
/// What the entry runs does not return, takes its argument, and only needs memory that outlives it.
unsafe fn make(way: Way, stack: &mut Stack, pidfd: &AtomicI32, entry: Entry) -> Result<i32, Errno> {
    // SAFETY: as the caller promises; the stack is 16-byte aligned.
    unsafe {
        match way {
            Way::Clone3 => clone3(stack, pidfd, entry),
            Way::Clone => {
                let top = stack.0.as_mut_ptr_range().end.cast();
                Errno::result(libc::clone(entry.run, top, FLAGS, entry.with, pidfd.as_ptr()))
            }
        }
    }
}

/// The kernel's `struct clone_args`, in its first published size.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Only x86-64's entry of the new process is written here.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn clone3(_: &mut Stack, _: &AtomicI32, _: Entry) -> Result<i32, Errno> {
    Err(Errno::ENOSYS)
}

/// # Safety
///
/// As [`make`].
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(stack: &mut Stack, pidfd: &AtomicI32, entry: Entry) -> Result<i32, Errno> {
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    let arguments = CloneArguments {
        flags: FLAGS as u64 | CLONE_CLEAR_SIGHAND,
        pidfd: pidfd.as_ptr() as u64,
        stack: stack.0.as_mut_ptr() as u64,
        stack_size: Stack::BYTES as u64,
        ..CloneArguments::default()
    };
    let result: i64;
    // The child leaves the system call on its own, empty stack, with this thread's registers: it
    // can only call further.
    // SAFETY: as the caller promises; the parent's side is a plain system call.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") ptr::from_ref(&arguments),
            in("rsi") size_of::<CloneArguments>(),
            in("r12") entry.with,
            in("r13") entry.run,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    let result = i32::try_from(result).unwrap_or(i32::MAX);
    if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(result) }
}
