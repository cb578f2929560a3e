//! A child between its clone and its program. It shares its parent's memory until then, so
//! everything here is system calls on what the parent has prepared.

use std::{
    ffi::{CStr, c_char},
    mem,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

use nix::errno::Errno;

use super::{dispositions, limits};

/// What a child does, in this order, before it runs its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BirthStep {
    JoinGroup,
    EnterDirectory,
    PlaceDescriptors,
    TakeTerminal,
    Execute,
}

/// Everything that the child needs, made before the child exists: it may not allocate.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// The process group to join; 0 for a new one.
    pub(crate) group: Option<i32>,
    /// Whether standard input is a terminal that controls a new session of the child. A session is
    /// a new group, too.
    pub(crate) terminal: bool,
    pub(crate) directory: Option<&'a CStr>,
    /// The descriptors, each with the number that it has in the child.
    pub(crate) descriptors: Vec<(BorrowedFd<'a>, RawFd)>,
    /// The paths at which the program may be; the first that can be executed is run.
    pub(crate) programs: &'a CStrings,
    pub(crate) arguments: &'a CStrings,
    pub(crate) environment: &'a CStrings,
    /// `/bin/sh`, a place for a script's path, and the arguments without their first one.
    pub(crate) shell: ShellArguments,
}

/// Strings in the form that `execve` takes.
#[derive(Debug)]
pub(crate) struct CStrings {
    /// Owns what the pointers point to; never changed.
    _bytes: Vec<u8>,
    /// Ends with a null pointer.
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Each string is the concatenation of its parts, which may have no NUL byte.
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

const SHELL: &CStr = c"/bin/sh";

/// The arguments of a shell that runs the program as a script, as `execvp` does.
#[derive(Debug)]
pub(crate) struct ShellArguments(Vec<*const c_char>);

impl ShellArguments {
    /// For a program that is started with these arguments.
    pub(crate) fn new(arguments: &CStrings) -> Self {
        let own = arguments.pointers.iter().skip(1).copied();
        ShellArguments([SHELL.as_ptr(), ptr::null()].into_iter().chain(own).collect())
    }
}

/// Returns only if a step failed: returns that step, with the reason in `errno`.
///
/// # Safety
///
/// Only in a child that has every signal blocked.
pub(super) unsafe fn prepare_and_execute(birth: &mut Birth<'_>) -> BirthStep {
    // SAFETY: system calls on descriptors, strings and numbers that live in `birth`.
    unsafe {
        // First, since a signal to the parent's group is not for a child with its own.
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
        // After the descriptors: a number may be above the limit.
        limits::restore_open_files();
        let others = (1..=dispositions::LAST).filter(|signal| !STOPS.contains(signal));
        others.for_each(|signal| dispositions::reset(signal));
        execute(birth);
    }
    BirthStep::Execute
}

/// Gives the descriptors their numbers; `dup2` takes CLOEXEC off. A descriptor that already has one
/// of the numbers is moved away first: the parent may run with its own streams closed.
///
/// # Safety
///
/// Only in the child: it overwrites what has the numbers.
unsafe fn place(descriptors: &mut [(BorrowedFd<'_>, RawFd)]) -> bool {
    let is_taken = |descriptors: &[(BorrowedFd<'_>, RawFd)], number: RawFd| {
        descriptors.iter().any(|(_, taken)| *taken == number)
    };
    // SAFETY: the descriptors are open in this process, whose own table is a copy.
    unsafe {
        for at in 0..descriptors.len() {
            let mut moved = descriptors[at].0.as_raw_fd();
            while is_taken(descriptors, moved) {
                // The lowest free number, which can be one of the numbers, too.
                moved = libc::fcntl(moved, libc::F_DUPFD_CLOEXEC, 0);
                if moved < 0 {
                    return false;
                }
            }
            descriptors[at].0 = BorrowedFd::borrow_raw(moved);
        }
        descriptors
            .iter()
            .all(|(descriptor, number)| libc::dup2(descriptor.as_raw_fd(), *number) >= 0)
    }
}

/// The stop signals that can be ignored; `unblocked` resets them. `SIGTSTP` is the last: the time
/// after it is the shortest.
const STOPS: [i32; 3] = [libc::SIGTTIN, libc::SIGTTOU, libc::SIGTSTP];

/// Tries each path, as `execvp` does. A missing program is passed over, a program that may not be
/// executed is remembered if no other can be, and `/bin/sh` runs a script without `#!`.
///
/// # Safety
///
/// Only in the child.
unsafe fn execute(birth: &mut Birth<'_>) {
    let mut denied = false;
    let (mut at, arguments) = (birth.programs.pointers.as_ptr(), birth.arguments.pointers.as_ptr());
    let environment = birth.environment.pointers.as_ptr();
    // SAFETY: the pointers end with a null; each points to a string that `birth` keeps.
    unsafe {
        let is_only_one = (*at).is_null() || (*at.add(1)).is_null();
        while !(*at).is_null() {
            // Checked while the signals are blocked: see `unblocked`.
            if is_only_one || exists(*at) {
                unblocked(|| libc::execve(*at, arguments, environment));
                if Errno::last_raw() == libc::ENOEXEC {
                    birth.shell.0[1] = *at;
                    unblocked(|| libc::execve(SHELL.as_ptr(), birth.shell.0.as_ptr(), environment));
                    Errno::set_raw(libc::ENOEXEC);
                }
            }
            match Errno::last_raw() {
                libc::EACCES => denied = true,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return,
            }
            at = at.add(1);
        }
        if denied {
            Errno::set_raw(libc::EACCES);
        }
    }
}

unsafe fn exists(path: *const c_char) -> bool {
    // SAFETY: all zero is a valid stat, and the path a string.
    unsafe { libc::stat(path, &mut mem::zeroed()) == 0 }
}

/// Executes with no signal blocked, which is how a program starts. Returns with all of them blocked
/// if the program cannot be executed. A child that is stopped before its program runs would keep
/// the parent's thread standing still:
///
/// 1. Ctrl-Z stops the parent's group while the child is on its way: `SIGTSTP` is pending.
/// 2. The child ignores the signal for a moment, so that the kernel forgets it.
/// 3. It unblocks the signals and executes: from the exec on, a stop is the program's own. If a
///    stop comes between the last two system calls, the parent continues the child when it takes
///    long.
///
/// # Safety
///
/// Only in the child; what is executed has valid pointers.
unsafe fn unblocked(execute: impl FnOnce() -> libc::c_int) {
    // SAFETY: no handler is installed: none of ours can run in the memory that is the parent's.
    unsafe {
        let (mut none, mut all) = (mem::zeroed(), mem::zeroed());
        libc::sigemptyset(&mut none);
        libc::sigfillset(&mut all);
        for signal in STOPS {
            dispositions::set(signal, libc::SIG_IGN);
            dispositions::reset(signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        execute();
        let errno = Errno::last_raw();
        libc::sigprocmask(libc::SIG_SETMASK, &all, ptr::null_mut());
        Errno::set_raw(errno);
    }
}
