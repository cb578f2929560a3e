//! The io_uring driver: one ring, one thread, no readiness call at all.
//!
//! Quiet pipes wait in multishot reads; a pipe that floods is switched to one-shot reads of a
//! whole read buffer, in turn with the others, and back when it calms down.

mod buffers;
mod driver;
mod enter;
mod give_up;
mod make;
mod polled;
mod self_test;
mod slot;
mod writers;

use driver::Ring;
pub(super) use make::make;
