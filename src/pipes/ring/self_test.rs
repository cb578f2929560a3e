//! Whether io_uring works here as the driver needs it: tried, not guessed from a version.

use std::io;

use io_uring::{IoUring, Probe, cqueue, opcode, types};
use std::os::fd::AsRawFd;

use super::{
    buffers::CopyGroup,
    enter::{self, Size, Wait},
};
use crate::sys;

/// Small: two pages, which no other ring will miss.
const SIZE: Size = Size { submissions: 8, completions: 16 };

/// Makes a small ring and reads a pipe by a multishot read whose two buffers are too few.
///
/// # Errors
///
/// What the kernel (or a container's filter) said, or which step gave an unexpected answer.
pub(super) fn self_test() -> io::Result<()> {
    let mut ring = enter::build(SIZE)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    for code in [
        opcode::ReadMulti::CODE,
        opcode::Read::CODE,
        opcode::Write::CODE,
        opcode::Recv::CODE,
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
    ] {
        if !probe.is_supported(code) {
            return Err(io::Error::other(format!(
                "this kernel's io_uring has no operation {code}"
            )));
        }
    }
    let mut buffers = CopyGroup::register(&ring.submitter(), 0, 2, 8)?;
    buffers.provide(16);
    let (reader, writer) = sys::pipe::pair()?;
    let read = opcode::ReadMulti::new(types::Fd(reader.as_raw_fd()), 0, buffers.group());
    // SAFETY: the pipe and the buffers outlive the ring's last completion, awaited below.
    unsafe { enter::push(&mut ring, &read.build().user_data(1))? };
    enter::enter(&mut ring, Wait::No)?;
    nix::unistd::write(&writer, &[7; 24])?;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        enter::enter(&mut ring, Wait::ForOne)?;
        seen.extend(ring.completion().map(|entry| (entry.result(), cqueue::more(entry.flags()))));
    }
    finish(ring, buffers);
    if seen == [(8, true), (8, true), (-libc::ENOBUFS, false)] {
        Ok(())
    } else {
        Err(io::Error::other(format!("a multishot read gave {seen:?}")))
    }
}

/// The ring is dropped before the memory that is registered with it.
fn finish(ring: IoUring, buffers: CopyGroup) {
    drop(ring);
    drop(buffers);
}
