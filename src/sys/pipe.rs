//! Pipes, closed on exec from their creation.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe `(read end, write end)` whose read end is non-blocking. The write end, which a child may
/// get, is an ordinary blocking one.
pub(crate) fn readable_end_nonblocking() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

/// How many bytes the pipe holds now (`FIONREAD`).
pub(crate) fn readable(pipe: impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(pipe)?).unwrap_or(usize::MAX))
}
