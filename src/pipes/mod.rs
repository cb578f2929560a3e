//! Pipe contexts and the drivers that read them: no select, poll or epoll on any pipe.
//!
//! A driver owns the read ends. It is used by one thread only, the read loop's. Its contract:
//! when [`PipeDriver::turn`] returns, every byte that has left a pipe is in `found`, so that the
//! loop may read a pipe itself (at an exit) without overtaking the driver.

mod direct;
mod driver;
mod end;
mod gather;
#[cfg(target_os = "linux")]
mod ring;
mod select;
mod slab;
mod sweep;
mod wake;

pub(crate) use driver::{
    Found, Held, LoopWaker, Observed, PipeDriver, PipeKey, PipeKind, PipeToken,
};
pub(crate) use end::{Medium, PipeEnd};
pub(crate) use gather::Gather;
pub use select::Driver;
pub(crate) use select::{choose, fallback, from_environment};
pub(crate) use slab::{SLAB_LEN, Slab, SlabPool};
pub(crate) use wake::LoopWake;
