//! A new process that borrows this one's memory until it runs its program: `clone3` by hand.
//!
//! The C library's `posix_spawn` does the same with some 130 more system calls a child: it maps a
//! stack, and asks for the disposition of every signal. Here the stack is kept, the kernel clears
//! the handlers (`CLONE_CLEAR_SIGHAND`, Linux 5.5), the pidfd comes with the process, so that no
//! foreign `wait` can come between, and a failure in the child tells its step.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::{
    ffi::{CStr, c_char, c_void},
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use nix::errno::Errno;

/// What a child does, in this order, before it runs its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BirthStep {
    JoinGroup,
    EnterDirectory,
    PlaceDescriptors,
    TakeTerminal,
    Execute,
}

/// Everything that the child needs, made before it exists: it may not allocate.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// The process group to join; 0 for one of its own.
    pub(crate) group: Option<i32>,
    /// Standard input is a terminal, and is to control a session of the child's own: that is a new
    /// group, too.
    pub(crate) terminal: bool,
    pub(crate) directory: Option<&'a CStr>,
    /// The descriptors, and the numbers that the child shall know them by.
    pub(crate) descriptors: Vec<(BorrowedFd<'a>, RawFd)>,
    /// The paths at which the program may be; the first that can be executed is.
    pub(crate) programs: &'a CStrings,
    pub(crate) arguments: &'a CStrings,
    pub(crate) environment: &'a CStrings,
}

/// Strings in the form that `execve` takes.
#[derive(Debug)]
pub(crate) struct CStrings {
    /// Owns what the pointers point to; not touched after they were made.
    _bytes: Vec<u8>,
    /// Ends with a null pointer.
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Each string is the concatenation of its parts, none of which may have a NUL byte.
    pub(crate) fn new<'a>(strings: impl IntoIterator<Item = [&'a [u8]; 3]>) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        let mut starts = Vec::with_capacity(32);
        for parts in strings {
            starts.push(bytes.len());
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            bytes.push(0);
        }
        let pointer = |start: usize| bytes[start..].as_ptr().cast();
        let pointers = starts.into_iter().map(pointer).chain([ptr::null()]).collect();
        CStrings { _bytes: bytes, pointers }
    }
}

/// A stack for children: one at a time, since the parent's thread stands still meanwhile.
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

/// Why there is no child.
#[derive(Debug)]
pub(crate) enum NoBirth {
    /// The kernel made no process.
    NotCreated(Errno),
    /// The process was made, failed in this step, and has ended: it can be reaped by its pidfd.
    Failed(BirthStep, io::Error, OwnedFd),
}

/// The child's side of a birth, in the memory that both share.
struct Shared<'a, 'b> {
    birth: &'a mut Birth<'b>,
    failure: Option<(BirthStep, i32)>,
}

/// Makes the process and returns when it runs its program: its PID and its pidfd.
///
/// The child starts with no signal blocked and SIGPIPE at its default, as from `std::process`.
pub(crate) fn bear(stack: &mut Stack, birth: &mut Birth<'_>) -> Result<(i32, OwnedFd), NoBirth> {
    let mut shared = Shared { birth, failure: None };
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments {
        flags: (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64
            | CLONE_CLEAR_SIGHAND,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.0.as_mut_ptr() as u64,
        stack_size: Stack::BYTES as u64,
        ..CloneArguments::default()
    };
    // SAFETY: the stack is ours alone, 16-byte aligned, and outlives the child's use of it, as do
    // `shared` and `birth`: by CLONE_VFORK this thread stands still until the child has executed
    // its program or ended. `child` never returns and takes a `Shared` pointer.
    let result = unsafe { clone3(&arguments, child, (&raw mut shared).cast()) };
    let pid = i32::try_from(result).unwrap_or(i32::MAX);
    if pid < 0 {
        return Err(NoBirth::NotCreated(Errno::from_raw(-pid)));
    }
    // SAFETY: the kernel stored the new process's pidfd there, and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    // SAFETY: `shared` lives here; the child that may have written to it has gone from this memory.
    match unsafe { ptr::read_volatile(&raw const shared.failure) } {
        None => Ok((pid, pidfd)),
        Some((step, errno)) => {
            Err(NoBirth::Failed(step, io::Error::from_raw_os_error(errno), pidfd))
        }
    }
}

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// The kernel's `struct clone_args`, in its first published size.
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

/// Elsewhere nobody has run it, so it is refused.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn clone3(
    _: &CloneArguments,
    _: unsafe extern "C" fn(*mut c_void) -> !,
    _: *mut c_void,
) -> i64 {
    -i64::from(libc::ENOSYS)
}

/// # Safety
///
/// `arguments` name a stack of the child's own, and CLONE_VM with CLONE_VFORK; `child` does not
/// return; `with` is what it takes.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(
    arguments: &CloneArguments,
    child: unsafe extern "C" fn(*mut c_void) -> !,
    with: *mut c_void,
) -> i64 {
    let result: i64;
    // The child comes back from the system call on its own stack, with nothing on it, and with this
    // thread's registers: it can only call on.
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
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size_of::<CloneArguments>(),
            in("r12") with,
            in("r13") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The child's life up to its program. It shares the parent's memory: only system calls here.
///
/// # Safety
///
/// `shared` is a `Shared` that the standing parent keeps.
unsafe extern "C" fn child(shared: *mut c_void) -> ! {
    let shared = shared.cast::<Shared<'_, '_>>();
    // SAFETY: as the caller promises. All that `Birth` holds was made for these calls.
    unsafe {
        let step = prepare_and_execute((*shared).birth);
        ptr::write_volatile(&raw mut (*shared).failure, Some((step, *libc::__errno_location())));
        libc::_exit(127)
    }
}

/// Comes back only with the step that failed, and why in `errno`.
///
/// # Safety
///
/// Only in the child.
unsafe fn prepare_and_execute(birth: &mut Birth<'_>) -> BirthStep {
    // SAFETY: system calls on descriptors, strings and numbers that live in `birth`.
    unsafe {
        if birth.terminal {
            if libc::setsid() < 0 {
                return BirthStep::JoinGroup;
            }
        } else if birth.group.is_some_and(|group| libc::setpgid(0, group) != 0) {
            return BirthStep::JoinGroup;
        }
        if birth.directory.is_some_and(|directory| libc::chdir(directory.as_ptr()) != 0) {
            return BirthStep::EnterDirectory;
        }
        if !place(&mut birth.descriptors) {
            return BirthStep::PlaceDescriptors;
        }
        if birth.terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
            return BirthStep::TakeTerminal;
        }
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        execute(birth);
    }
    BirthStep::Execute
}

/// Gives the descriptors their numbers; `dup2` takes CLOEXEC off. A descriptor that has one of the
/// numbers itself is moved out of the way first: the parent may run with its own streams closed.
///
/// # Safety
///
/// Only in the child: it overwrites what has the numbers.
unsafe fn place(descriptors: &mut [(BorrowedFd<'_>, RawFd)]) -> bool {
    let highest = descriptors.iter().map(|(_, number)| *number).max().unwrap_or(-1);
    // SAFETY: the descriptors are open in this process, whose own table is a copy.
    unsafe {
        for (descriptor, _) in descriptors.iter_mut() {
            if descriptor.as_raw_fd() <= highest {
                let moved = libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, highest + 1);
                if moved < 0 {
                    return false;
                }
                *descriptor = BorrowedFd::borrow_raw(moved);
            }
        }
        descriptors
            .iter()
            .all(|(descriptor, number)| libc::dup2(descriptor.as_raw_fd(), *number) >= 0)
    }
}

/// Tries each path, as `execvp` does: what is not there is passed over, and a program that may not
/// be executed is remembered where no other one can be.
///
/// # Safety
///
/// Only in the child.
unsafe fn execute(birth: &Birth<'_>) {
    let mut denied = false;
    let mut at = birth.programs.pointers.as_ptr();
    // SAFETY: the pointers end with a null; each points to a string that `birth` keeps.
    unsafe {
        while !(*at).is_null() {
            libc::execve(
                *at,
                birth.arguments.pointers.as_ptr(),
                birth.environment.pointers.as_ptr(),
            );
            match *libc::__errno_location() {
                libc::EACCES => denied = true,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return,
            }
            at = at.add(1);
        }
        if denied {
            *libc::__errno_location() = libc::EACCES;
        }
    }
}
