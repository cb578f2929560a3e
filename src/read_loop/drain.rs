//! The drain at an exit: reads exactly the bytes that a context holds at that moment, and none that
//! a descendant writes later (except for terminals, which do not tell how much they hold).

use std::io;

use bytes::Bytes;
use nix::errno::Errno;

use crate::{
    pipes::{Coalescer, Medium, PipeEnd, READ_BUFFER_LEN},
    sys,
};

/// A terminal does not tell how much it holds: at most 4 KiB in its line discipline, 8 KiB on their
/// way there, and the last part of one write. If a descendant still writes, some of its bytes may
/// count as the child's.
const TERMINAL_HOLDS: usize = 32 * 1024;

/// Reads the bytes that the context holds now and passes them to `each`, with their writer if
/// known. The child has ended, so all its bytes are already there; the drain never needs to wait
/// for the end of file, which a descendant can delay for ever.
pub(super) fn drain(
    end: &PipeEnd,
    coalescer: &mut Coalescer<Option<i32>>,
    each: &mut impl FnMut(Option<i32>, Bytes),
) -> io::Result<()> {
    let mut left = match end.medium {
        Medium::Pipe | Medium::Attributed => sys::pipe::readable(&end.descriptor)?,
        Medium::Terminal => TERMINAL_HOLDS,
    };
    while left > 0 {
        let mut read_buffer = coalescer.read_buffer();
        let memory = &mut read_buffer.memory()[..left.min(READ_BUFFER_LEN)];
        match end.read_now(memory) {
            Ok((0, _)) => break,
            Ok((len, writer)) => {
                left -= len;
                coalescer.take_slab(writer, read_buffer, len, each);
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            // No process has the child's side open.
            Err(Errno::EIO) if end.medium == Medium::Terminal => break,
            Err(error) => {
                coalescer.flush(each);
                return Err(error.into());
            }
        }
    }
    coalescer.flush(each);
    Ok(())
}
