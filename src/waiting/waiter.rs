//! `Waiter`: one actor for each child. It waits on the pidfd, reaps, and reports: by its slot, whose
//! last step the read loop may have taken for it by then.

use std::{
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

use actix::{
    Actor, AsyncContext as _, Context, Handler, MessageResult, Supervised, WeakAddr,
    fut::ActorFuture,
};

use super::{ChildSlot, Signal, Watcher, messages::Reaped};

/// The waiter of one child.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) slot: Arc<ChildSlot>,
    pub(super) watcher: WeakAddr<Watcher>,
}

impl Actor for Waiter {
    type Context = Context<Self>;

    /// Also after a restart: the slot knows how far the child has come.
    fn started(&mut self, context: &mut Self::Context) {
        context.spawn(Wait);
    }
}

impl Supervised for Waiter {}

/// The wait of a waiter; all its state is the slot's.
struct Wait;

impl ActorFuture<Waiter> for Wait {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        waiter: &mut Waiter,
        _: &mut Context<Waiter>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        #[cfg(feature = "fault-injection")]
        if crate::supervise::fault_due(crate::supervise::Fault::WaiterStalled) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match ready!(waiter.slot.poll_reported(cx)) {
            Ok(()) => {
                if let Some(watcher) = waiter.watcher.upgrade() {
                    watcher.do_send(Reaped(waiter.slot.id()));
                }
            }
            // Only when the reactor goes, and then the shutdown reaps.
            Err(error) => tracing::warn!(child = %waiter.slot.id(), %error, "the wait was ended"),
        }
        Poll::Ready(())
    }
}

impl Handler<Signal> for Waiter {
    type Result = MessageResult<Signal>;

    fn handle(&mut self, message: Signal, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.slot.signal(message.signal, message.target))
    }
}
