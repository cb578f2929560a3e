//! `Waiter`: one actor for each child. Its steps are its `Process`'s: it waits on the pidfd, reaps,
//! and reports. The read loop may already have taken the last step.

use std::{
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use actix::{
    Actor, AsyncContext as _, Context, Supervised, WeakAddr,
    fut::{ActorFuture, ActorFutureExt as _, wrap_future},
};
use tokio::time::sleep;

use super::{Watcher, messages::Reaped};
use crate::{process::Process, restart::trace};

/// The pause before the next try if the kernel returned an error.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// The waiter of one child.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) process: Arc<Process>,
    pub(super) watcher: WeakAddr<Watcher>,
}

impl Actor for Waiter {
    type Context = Context<Self>;

    /// Runs after a restart too: the process knows the child's progress.
    fn started(&mut self, context: &mut Self::Context) {
        context.spawn(Wait);
    }
}

impl Supervised for Waiter {}

/// A waiter's wait. All of its state is in the process.
struct Wait;

impl ActorFuture<Waiter> for Wait {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        waiter: &mut Waiter,
        context: &mut Context<Waiter>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        #[cfg(feature = "fault-injection")]
        if crate::restart::fault_due(crate::restart::Fault::WaiterStalled) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match ready!(waiter.process.poll_reported(cx)) {
            Ok(()) => {
                if let Some(watcher) = waiter.watcher.upgrade() {
                    watcher.do_send(Reaped(waiter.process.id()));
                }
            }
            Err(error) => {
                trace::error!(child = %waiter.process.id(), %error, "a child cannot be asked after now");
                let again = wrap_future::<_, Waiter>(sleep(RETRY));
                context.spawn(again.map(|(), _, context: &mut Context<Waiter>| {
                    context.spawn(Wait);
                }));
            }
        }
        Poll::Ready(())
    }
}
