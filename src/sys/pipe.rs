//! Pipes, closed on exec from their creation.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
};
#[cfg(target_os = "linux")]
use rustix::io::ReadWriteFlags;

use crate::restart::trace;

/// A pipe `(read end, write end)`, both blocking.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// A pipe for one short record: it takes one page of the user's quota (`fs.pipe-user-pages-soft`)
/// instead of sixteen.
pub(crate) fn pair_for_a_record() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pair()?;
    // If this fails, a longer pipe works as well.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096));
    Ok((reader, writer))
}

/// The size of a child's input pipe, if the kernel allows it (`fs.pipe-user-pages-soft`): with the
/// usual 64 KiB, writer and child wake each other all the time.
const FED: i32 = 256 * 1024;

/// Makes a pipe hold more, if that is allowed. Only for a pipe that was seen full, so that pipes
/// with little input do not use up the user's quota.
pub(crate) fn enlarge(pipe: impl AsFd) {
    if let Err(error) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(FED)) {
        trace::debug!(%error, "a pipe keeps its usual size");
    }
}

/// Makes the read end non-blocking, for a driver that asks pipes in turn. The write end has an open
/// file of its own, and stays as it is.
pub(crate) fn set_nonblocking(pipe: impl AsFd) -> io::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// How many bytes the pipe holds now (`FIONREAD`).
pub(crate) fn readable(pipe: impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(pipe)?).unwrap_or(usize::MAX))
}

/// No offset: the pipe's current position.
const HERE: u64 = u64::MAX;

/// Reads what the pipe holds, without waiting even if its descriptor does: another process may have
/// taken the bytes a moment ago. Returns `EAGAIN` if it is empty, 0 at its end.
pub(crate) fn read_now(pipe: impl AsFd, into: &mut [u8]) -> Result<usize, Errno> {
    #[cfg(target_os = "linux")]
    {
        let buffers = &mut [std::io::IoSliceMut::new(into)];
        match rustix::io::preadv2(&pipe, buffers, HERE, ReadWriteFlags::NOWAIT) {
            // A kernel without this read has no ring either: the descriptor itself never waits.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            read => return read.map_err(|error| Errno::from_raw(error.raw_os_error())),
        }
    }
    nix::unistd::read(pipe, into)
}

/// Writes what the pipe takes at once: another process may have filled it.
pub(crate) fn write_now(pipe: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    #[cfg(target_os = "linux")]
    {
        let buffers = &[std::io::IoSlice::new(bytes)];
        match rustix::io::pwritev2(&pipe, buffers, HERE, ReadWriteFlags::NOWAIT) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            written => return written.map_err(|error| Errno::from_raw(error.raw_os_error())),
        }
    }
    nix::unistd::write(pipe, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_an_empty_pipe_nor_a_full_one_makes_wait() {
        let (reader, writer) = pair().unwrap();
        let mut bytes = [0; 64 * 1024];
        assert_eq!(read_now(&reader, &mut bytes), Err(Errno::EAGAIN));
        assert_eq!(write_now(&writer, &bytes), Ok(bytes.len()));
        assert_eq!(write_now(&writer, b"x"), Err(Errno::EAGAIN));
        assert_eq!(read_now(&reader, &mut bytes), Ok(bytes.len()));
        drop(writer);
        assert_eq!(read_now(&reader, &mut bytes), Ok(0));
    }
}
