//! One signal handler for every listener of this process, and the earlier disposition.
//!
//! The handler adds to an eventfd for each signal and then calls the earlier handler. The eventfd
//! is never read: each listener has its own copy registered edge-triggered with its reactor, and
//! every addition is a new edge for all of them. So any number of threads can listen, and the
//! handler knows none of them.

use std::{
    array, io, mem,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    ptr,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use nix::{
    errno::Errno,
    sys::eventfd::{EfdFlags, EventFd},
};

use crate::restart::trace;

/// Linux's signals are numbered from 1 to 64.
const SIGNALS: usize = 65;

/// For each signal the descriptor that the handler writes to; -1 without a listener.
static WAKE: [AtomicI32; SIGNALS] = [const { AtomicI32::new(-1) }; SIGNALS];
/// For each signal the earlier handler; 0 if there was none to call.
static BEFORE: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
/// How often each signal has come. An unread eventfd also shows a new listener old signals.
static COUNT: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
/// How many threads are in the handler now.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

static LISTENED: LazyLock<Mutex<[Listened; SIGNALS]>> =
    LazyLock::new(|| Mutex::new(array::from_fn(|_| Listened::default())));

#[derive(Default)]
struct Listened {
    listeners: usize,
    wake: Option<EventFd>,
    before: Option<libc::sigaction>,
    /// Other code has put a handler over ours that may call ours: do not install ours again.
    covered: bool,
}

fn listened() -> MutexGuard<'static, [Listened; SIGNALS]> {
    LISTENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener's hold of a signal's handler. The drop of the last one restores the earlier
/// disposition, unless other code has changed it meanwhile.
#[derive(Debug)]
pub(crate) struct Listener {
    signal: i32,
    /// Whether the warning of a foreign handler was logged.
    told: AtomicBool,
}

/// Listens to a signal from now on.
pub(crate) fn listen(signal: i32) -> io::Result<Listener> {
    let mut listened = listened();
    let entry = number(signal).and_then(|number| listened.get_mut(number));
    let entry = entry.ok_or(Errno::EINVAL)?;
    if entry.listeners == 0 {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        install(signal, entry)?;
        WAKE[signal as usize].store(wake.as_fd().as_raw_fd(), SeqCst);
        entry.wake = Some(wake);
    }
    entry.listeners += 1;
    Ok(Listener { signal, told: AtomicBool::new(false) })
}

fn number(signal: i32) -> Option<usize> {
    usize::try_from(signal).ok().filter(|number| *number > 0)
}

impl Listener {
    /// A descriptor whose read readiness has a new edge with every signal. Do not read it.
    pub(crate) fn edges(&self) -> io::Result<OwnedFd> {
        let listened = listened();
        match &listened[self.signal as usize].wake {
            Some(wake) => wake.as_fd().try_clone_to_owned(),
            None => Err(Errno::EBADF.into()),
        }
    }

    /// How often the signal has come by now: the same number means no new one.
    pub(crate) fn count(&self) -> usize {
        count(self.signal)
    }

    /// Whether our handler is in its place. Warns once if it is not.
    pub(crate) fn in_place(&self) -> bool {
        let in_place = is_ours(self.signal);
        if !in_place && !self.told.swap(true, SeqCst) {
            trace::warn!(
                signal = self.signal,
                "something in this program has changed the signal's disposition: children are \
                 asked after from time to time",
            );
        }
        in_place
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listened = listened();
        let entry = &mut listened[self.signal as usize];
        entry.listeners -= 1;
        if entry.listeners > 0 {
            return;
        }
        match entry.before {
            Some(before) if is_ours(self.signal) => {
                // SAFETY: it is what the kernel gave at the installation.
                unsafe { libc::sigaction(self.signal, &before, ptr::null_mut()) };
                // `BEFORE` stays as it is: a handler that is under way still calls it.
                entry.before = None;
            }
            _ => entry.covered = true,
        }
        let covered = entry.covered;
        WAKE[self.signal as usize].store(-1, SeqCst);
        // A handler that has loaded the descriptor's number may still write to it.
        while INSIDE.load(SeqCst) > 0 {
            thread::yield_now();
        }
        entry.wake = None;
        drop(listened);
        if covered {
            trace::warn!(signal = self.signal, "the signal's disposition is not ours to restore");
        }
    }
}

/// As [`Listener::count`].
pub(crate) fn count(signal: i32) -> usize {
    number(signal).and_then(|number| COUNT.get(number)).map_or(0, |count| count.load(SeqCst))
}

fn current(signal: i32) -> io::Result<libc::sigaction> {
    let mut action = mem::MaybeUninit::zeroed();
    // SAFETY: only asks; the out-pointer is to memory of its type.
    Errno::result(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: it was zeroed, a valid value, and then written by the kernel.
    Ok(unsafe { action.assume_init() })
}

fn is_ours(signal: i32) -> bool {
    current(signal).is_ok_and(|action| action.sa_sigaction == on_signal as *const () as usize)
}

fn install(signal: i32, entry: &mut Listened) -> io::Result<()> {
    let before = current(signal)?;
    let is_function = before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN;
    if is_ours(signal) || (entry.covered && is_function) {
        return Ok(());
    }
    // SAFETY: all zero is a valid sigaction.
    let mut ours: libc::sigaction = unsafe { mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    BEFORE[signal as usize].store(if is_function { before.sa_sigaction } else { 0 }, SeqCst);
    // SAFETY: the handler does only what is allowed in one, see there.
    Errno::result(unsafe { libc::sigaction(signal, &ours, ptr::null_mut()) })?;
    entry.before = Some(before);
    entry.covered = false;
    Ok(())
}

/// The handler: atomics, one `write`, and a call of the earlier handler.
extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::last_raw();
    INSIDE.fetch_add(1, SeqCst);
    let at = signal as usize;
    COUNT[at].fetch_add(1, SeqCst);
    let wake = WAKE[at].load(SeqCst);
    if wake >= 0 {
        let one = 1_u64;
        // SAFETY: `write` may be called here; the descriptor is not closed while INSIDE counts us.
        unsafe { libc::write(wake, (&raw const one).cast(), size_of::<u64>()) };
    }
    INSIDE.fetch_sub(1, SeqCst);
    let before = BEFORE[at].load(SeqCst);
    if before != 0 {
        type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: the kernel gave it as the address of a handler. One that takes the number alone
        // ignores the other two arguments, as it does when the kernel calls it.
        unsafe { mem::transmute::<usize, Handler>(before)(signal, info, context) };
    }
    Errno::set_raw(errno);
}
