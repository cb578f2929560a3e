//! The signals that were ignored when this program was started, as by `nohup`: its children ignore
//! them, too. What the program has changed since does not count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Linux's signals are numbered from 1 to 64.
pub(super) const LAST: i32 = 64;

/// A bit for each signal, the lowest for number 1.
static IGNORED_AT_START: AtomicU64 = AtomicU64::new(0);

/// The loader runs this before `main`: later, the program may have changed its dispositions.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds addresses of functions like this one, which needs nothing but the kernel.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let ignored = (1..=LAST).filter(|signal| is_ignored(*signal));
    IGNORED_AT_START.store(ignored.map(bit).sum(), Relaxed);
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the out-pointer is to memory of its type.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Whether a child is to ignore the signal. It never ignores `SIGCHLD` and `SIGPIPE`: a program
/// that waits for children of its own, or writes into a pipe, relies on their defaults.
fn stays_ignored(signal: i32) -> bool {
    !matches!(signal, libc::SIGCHLD | libc::SIGPIPE)
        && IGNORED_AT_START.load(Relaxed) & bit(signal) != 0
}

/// Sets a signal to the disposition that programs start with. The C library reserves two signals,
/// and the kernel refuses `SIGKILL` and `SIGSTOP`.
///
/// # Safety
///
/// Only in a new process that has a table of handlers of its own.
pub(super) unsafe fn reset(signal: i32) {
    let ignored = stays_ignored(signal);
    // SAFETY: as the caller promises.
    unsafe { set(signal, if ignored { libc::SIG_IGN } else { libc::SIG_DFL }) };
}

/// Sets a disposition that is not a handler. Bypasses the C library, which takes a lock of the
/// program for `SIGABRT`: a child that is killed while it has that would keep it for ever.
///
/// # Safety
///
/// As [`reset`].
pub(super) unsafe fn set(signal: i32, disposition: libc::sighandler_t) {
    const OF_THE_C_LIBRARY: [i32; 2] = [32, 33];
    if OF_THE_C_LIBRARY.contains(&signal) {
        return;
    }
    // The kernel's structure begins with the disposition; flags and mask are for handlers.
    let action = [disposition, 0, 0, 0, 0];
    const MASK_BYTES: usize = 8;
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the structure is as long as the kernel's, and no handler is installed.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), none, MASK_BYTES) };
}
