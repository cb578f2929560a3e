//! The messages of the watcher and the waiters.

use actix::Message;
use nix::sys::signal::Signal;

use crate::{ChildId, SignalError, Target};

/// Sends a signal to a child through its pidfd, so that it can never hit a reused PID.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), SignalError>")]
pub struct SendSignal {
    /// The child.
    pub child: ChildId,
    /// The signal.
    pub signal: Signal,
    /// The child alone or its group.
    pub target: Target,
}

/// To the watcher: take the children out of the inbox.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt;

/// To the watcher: this child is reaped and its exit is reported.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Reaped(pub(crate) ChildId);
