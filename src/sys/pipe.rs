//! Pipes, closed on exec from their creation.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe `(read end, write end)`, both blocking.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// A pipe for one short record: it takes one page of the user's quota (`fs.pipe-user-pages-soft`)
/// instead of sixteen.
pub(crate) fn pair_for_a_record() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pair()?;
    // A longer one does as well.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096));
    Ok((reader, writer))
}

/// What a pipe that is fed holds, if the kernel lets it (`fs.pipe-user-pages-soft`): with the usual
/// 64 KiB, feeder and child wake each other all the time.
const FED: i32 = 256 * 1024;

/// Makes a pipe hold more, where that is allowed: for one that was seen full. The user's quota is
/// not used up for children that are fed little.
pub(crate) fn enlarge(pipe: impl AsFd) {
    if let Err(error) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(FED)) {
        tracing::debug!(%error, "a pipe keeps its usual size");
    }
}

/// Makes the read end non-blocking, for a driver that asks pipes in turn. The write end, which
/// has an open file of its own, stays as it is.
pub(crate) fn set_nonblocking(pipe: impl AsFd) -> io::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// How many bytes the pipe holds now (`FIONREAD`).
pub(crate) fn readable(pipe: impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(pipe)?).unwrap_or(usize::MAX))
}
