//! `Alarm`: a deadline of a caller that may have no clock of its own.

use std::time::Duration;

use actix::Message;
use tokio::sync::oneshot;

/// Asks the policy to tell after a time.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Alarm {
    pub(crate) time: Duration,
    pub(crate) tell: oneshot::Sender<()>,
}
