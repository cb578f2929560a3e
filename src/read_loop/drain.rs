//! The drain at an exit: exactly what a pipe holds at that moment, and not a byte of what a
//! descendant writes afterwards.

use std::{io, os::fd::BorrowedFd};

use bytes::Bytes;
use nix::errno::Errno;

use crate::{
    log::{Gather, SLAB_LEN},
    sys,
};

/// Reads what `pipe` holds now and gives it to `each`. The child has ended, so everything that it
/// wrote is in the pipe already; the wait for the end of file, which a descendant can put off for
/// ever, is never needed.
pub(super) fn drain(
    pipe: BorrowedFd<'_>,
    gather: &mut Gather<()>,
    mut each: impl FnMut(Bytes),
) -> io::Result<()> {
    let mut left = sys::pipe::readable(pipe)?;
    let mut emit = |(), bytes| each(bytes);
    while left > 0 {
        let mut slab = gather.slab();
        let want = left.min(SLAB_LEN);
        match nix::unistd::read(pipe, &mut slab.memory()[..want]) {
            Ok(0) => break,
            Ok(len) => {
                left -= len;
                gather.take_slab((), slab, len, &mut emit);
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(error) => {
                gather.flush(&mut emit);
                return Err(error.into());
            }
        }
    }
    gather.flush(&mut emit);
    Ok(())
}
