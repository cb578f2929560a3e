//! The runtimes of the library's own threads.

use std::{fs::File, io};

use tokio::runtime::{Builder, Runtime};

/// More descriptors than a runtime opens: parts of it panic if they get none.
const DESCRIPTORS: usize = 16;

/// A runtime for the calling thread, or the error if a resource is lacking.
pub(crate) fn current_thread() -> io::Result<Runtime> {
    let reserved: io::Result<Vec<_>> = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    drop(reserved?);
    Builder::new_current_thread().enable_all().build()
}
