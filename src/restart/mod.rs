//! Supervision of the library's own parts: catch the panic, back off, restart, or give up. Also the
//! guard around foreign code.

mod contain;
mod faults;
mod intensity;
mod sticky;
mod supervised;
pub(crate) mod trace;
mod wakers;

pub(crate) use contain::{contain, contain_silently, dispose, message_of};
#[cfg(feature = "fault-injection")]
pub(crate) use faults::due as fault_due;
pub(crate) use faults::fault_point;
#[cfg(feature = "fault-injection")]
pub use faults::{Fault, inject};
pub use intensity::Intensity;
pub(crate) use intensity::Restarts;
use intensity::Verdict;
pub(crate) use sticky::Sticky;
pub(crate) use supervised::{Supervisor, judge};
pub(crate) use wakers::{WaitList, Wakers, drop_contained};
