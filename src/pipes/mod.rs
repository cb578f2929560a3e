//! Pipe contexts and the drivers that read them: no select, poll or epoll on any pipe.
//!
//! A driver owns the read ends. It is used by one thread only, the read loop's. Its contract:
//! when [`PipeDriver::turn`] returns, every byte that has left a pipe is in `found`, so that the
//! loop may read a pipe itself (at an exit) without overtaking the driver.

mod coalescer;
mod direct;
mod driver;
mod end;
mod read_buffer;
#[cfg(target_os = "linux")]
mod ring;
mod select;
mod sweep;
mod wake;

pub(crate) use coalescer::Coalescer;
/// What the wake-up uses; loom has its own versions.
mod sync {
    pub(super) use std::sync::{Mutex, atomic::AtomicU8};
}

pub(crate) use driver::{
    Completion, Held, LoopWaker, PipeDriver, PipeEvent, PipeKey, PipeKind, PipeToken,
};
pub(crate) use end::{Medium, PipeEnd};
pub(crate) use read_buffer::{READ_BUFFER_LEN, ReadBuffer, ReadBufferPool};
pub use select::Driver;
pub(crate) use select::{choose, fallback, from_environment};
pub(crate) use wake::LoopWake;
