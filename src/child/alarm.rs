//! `Alarm`: a deadline for a caller that may have no clock of its own.

use std::time::Duration;

use actix::{Message, WeakRecipient};
use tokio::sync::oneshot;

/// Asks the policy to reply after a time.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Alarm {
    pub(crate) time: Duration,
    pub(crate) tell: oneshot::Sender<()>,
}

/// Returns after this time, by the policy's clock, since the caller's runtime may have none. Never
/// returns once the policy has stopped.
pub(super) async fn after(policy: &WeakRecipient<Alarm>, time: Duration) {
    let (tell, told) = oneshot::channel();
    if let Some(policy) = policy.upgrade() {
        policy.do_send(Alarm { time, tell });
    }
    if told.await.is_err() {
        std::future::pending().await
    }
}
