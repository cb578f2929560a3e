//! Descriptors in a tokio reactor: pidfds and eventfds, never pipes.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use tokio::io::{Interest, unix::AsyncFd};

/// A value that keeps one descriptor open for as long as it lives.
pub(crate) trait OwnsFd: AsRawFd {}

impl OwnsFd for OwnedFd {}
impl OwnsFd for Arc<OwnedFd> {}

/// Registers a descriptor with the reactor of the current runtime, to learn when it is readable.
/// Returns the descriptor with the error if that fails.
pub(crate) fn watch<T: OwnsFd>(descriptor: T) -> Result<AsyncFd<T>, (T, io::Error)> {
    // SAFETY: what `OwnsFd` is open, always names the same descriptor, and is not taken out.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    watched.map_err(|error| error.into_parts())
}
