//! Writing to standard output and standard error: whole, and without a panic.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// One of the tool's own streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Errors,
}

/// Held during a write if both streams are one file, so that no line tears another.
static ONE_FILE: Mutex<()> = Mutex::new(());

impl Stream {
    /// Writes everything. Waits for room if the stream does not block.
    pub(crate) fn write_all(self, bytes: &[u8]) -> io::Result<()> {
        let _whole = are_one_file().then(lock);
        match self {
            Stream::Output => write_all(io::stdout().as_fd(), bytes),
            Stream::Errors => write_all(io::stderr().as_fd(), bytes),
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Stream::Output => io::stdout().is_terminal(),
            Stream::Errors => io::stderr().is_terminal(),
        }
    }
}

/// Whether standard output and standard error go to the same place.
pub(crate) fn are_one_file() -> bool {
    let stat = |fd: BorrowedFd<'_>| nix::sys::stat::fstat(fd).map(|it| (it.st_dev, it.st_ino)).ok();
    stat(io::stdout().as_fd()) == stat(io::stderr().as_fd())
}

fn lock() -> MutexGuard<'static, ()> {
    ONE_FILE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => wait_for_room(fd)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for_room(fd: BorrowedFd<'_>) -> io::Result<()> {
    // A stream that failed is "ready", too: the next write says why.
    match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
