//! The policy's own messages; those of spawning, subscribing and signalling stand where they act.

use std::time::Duration;

use actix::Message;

/// Begins the shutdown: nothing more is spawned, every child gets `SIGTERM`, those that are left
/// after the grace get `SIGKILL`. Sent again with a shorter grace, it shortens the wait.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    /// How long children may take to end by themselves.
    pub grace: Duration,
}
