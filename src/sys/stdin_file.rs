//! A child's standard input as an in-memory file.

use std::{
    fs::File,
    io::{self, Seek, Write},
    os::fd::OwnedFd,
};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file that holds `bytes`, positioned at its start, closed on exec.
pub(crate) fn holding(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"actix-process-stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}
