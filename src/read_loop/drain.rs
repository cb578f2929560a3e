//! The drain at an exit: exactly what a context holds at that moment, and not a byte of what a
//! descendant writes afterwards (but for terminals, which do not tell).

use std::io;

use bytes::Bytes;
use nix::errno::Errno;

use crate::{
    pipes::{Coalescer, Medium, PipeEnd, READ_BUFFER_LEN},
    sys,
};

/// A terminal does not say how much it holds: at most 4 KiB in its line discipline, 8 KiB on their
/// way to that, and one write's last part. Should a descendant write on meanwhile, some of that can
/// be taken for the child's.
const TERMINAL_HOLDS: usize = 32 * 1024;

/// Reads what the context holds now and gives it to `each`, with its writer where that is known.
/// The child has ended, so everything that it wrote is there already; the wait for the end of file,
/// which a descendant can put off for ever, is never needed.
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
            // Nobody has the child's side open.
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
