//! What other threads ask of the read loop, through its own queue.

use std::{os::fd::OwnedFd, sync::Arc};

use actix::Recipient;
use tokio::sync::oneshot;

use crate::{
    ChildId, Part, PolicyStopped, SubscriptionId,
    child::{ChildCell, CollectedOutput},
    log::ChildExited,
    subscribe::Subscribe,
    waiter::Released,
};

/// A command for the read loop.
#[derive(Debug)]
pub(crate) enum LoopCommand {
    /// Read this child's pipes from now on.
    Register(Box<Registration>),
    /// This child's status pipe holds its record: for a driver that would find it late.
    Nudge(ChildId),
    /// Add a subscription.
    Subscribe(SubscriptionId, Subscribe),
    /// Remove a subscription.
    Unsubscribe(SubscriptionId),
    /// A hungry subscriber returned a credit.
    Credit(SubscriptionId),
    /// A reader moved on: look at the room again.
    Room,
    /// Send this child's whole output at its exit.
    Collect(Arc<ChildCell>, oneshot::Sender<CollectedOutput>),
    /// An actor was restarted: tell the lifecycle subscribers.
    Restarted(Part, String),
    /// Close everything, tell everyone why, and end.
    Finish(PolicyStopped),
}

/// A child that the read loop is to read: its pipes, and who hears of its end.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) cell: Arc<ChildCell>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) status: OwnedFd,
    pub(crate) exit_to: Option<Recipient<ChildExited>>,
    pub(crate) released_to: Option<Recipient<Released>>,
    pub(crate) span: tracing::Span,
}
