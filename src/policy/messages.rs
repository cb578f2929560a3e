//! The policy's own messages. Those of spawning, subscribing and signalling are in their modules.

use std::time::Duration;

use actix::Message;

/// Begins the shutdown: nothing more is spawned, every child gets `SIGTERM`, and children that are
/// left after the grace get `SIGKILL`. A second one with a shorter grace shortens the wait.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    /// How long children may take to end by themselves.
    pub grace: Duration,
}
