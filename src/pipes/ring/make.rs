//! `make`: a working ring, with retries for errors that pass: the memory and the descriptors of
//! earlier rings come back only some time after they were closed.

use std::{
    io,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{Ring, enter::Size, self_test::self_test};

const LARGE: Size = Size { submissions: 128, completions: 1024 };
const MEDIUM: Size = Size { submissions: 64, completions: 256 };
const SMALL: Size = Size { submissions: 16, completions: 64 };

/// The sizes to try, and how many milliseconds to wait after each: 249 in all.
const TRIES: [(Size, u64); 10] = [
    (LARGE, 1),
    (LARGE, 4),
    (LARGE, 16),
    (LARGE, 32),
    (MEDIUM, 16),
    (MEDIUM, 32),
    (SMALL, 20),
    (SMALL, 64),
    (SMALL, 64),
    (SMALL, 0),
];

/// Why io_uring cannot be used in this process, if that can never change.
#[derive(Clone, Debug)]
enum Refusal {
    Errno(i32),
    Answer(String),
}

/// The self-test's answer, as soon as it is a firm one.
static VERDICT: Mutex<Option<Result<(), Refusal>>> = Mutex::new(None);

/// Makes a ring for the thread that calls it.
///
/// # Errors
///
/// What the kernel (or a container's filter) said last, or what the self-test found.
pub(in crate::pipes) fn make() -> io::Result<Ring> {
    let mut tries = TRIES.into_iter().peekable();
    loop {
        let (size, pause) = tries.next().unwrap_or((SMALL, 0));
        match tested().and_then(|()| Ring::new(size)) {
            Err(error) if passes(&error) && tries.peek().is_some() => {
                thread::sleep(Duration::from_millis(pause));
            }
            made => return made,
        }
    }
}

/// The self-test's verdict. A firm one is asked for once.
fn tested() -> io::Result<()> {
    let mut verdict = VERDICT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*verdict {
        Some(Ok(())) => Ok(()),
        Some(Err(Refusal::Errno(errno))) => Err(io::Error::from_raw_os_error(*errno)),
        Some(Err(Refusal::Answer(text))) => Err(io::Error::other(text.clone())),
        None => {
            let tested = self_test();
            match &tested {
                Ok(()) => *verdict = Some(Ok(())),
                Err(error) => *verdict = firm(error).map(Err),
            }
            tested
        }
    }
}

/// Whether an error is permanent.
fn firm(error: &io::Error) -> Option<Refusal> {
    match error.raw_os_error() {
        Some(errno @ (libc::ENOSYS | libc::EPERM | libc::EINVAL)) => Some(Refusal::Errno(errno)),
        Some(_) => None,
        None if passes(error) => None,
        None => Some(Refusal::Answer(error.to_string())),
    }
}

/// Whether an error can change or pass in a moment.
fn passes(error: &io::Error) -> bool {
    let passing = [libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::EAGAIN];
    error.kind() == io::ErrorKind::OutOfMemory
        || error.raw_os_error().is_some_and(|errno| passing.contains(&errno))
}
