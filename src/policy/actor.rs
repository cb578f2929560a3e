//! `Policy`: the actor that receives all messages. It passes each one to the part that acts on it.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use actix::{Actor, Addr, Context, Handler, MessageResult, ResponseFuture, Supervised};
use tokio::time::sleep;

use super::{Shutdown, thread::PolicyThread};
use crate::{
    ChildId, PolicyStopped, ShareOutput, SharedOutput, SignalError, Spawn, SpawnPipeline,
    Subscribe, SubscriptionId, Unsubscribe,
    child::Alarm,
    pipes::{Medium, PipeEnd},
    read_loop::{LoopCommand, Mailbox},
    restart::contain,
    spawn::{PipelineTicket, RequestPipeline, RequestSpawn, SpawnPool, SpawnTicket},
    sys,
    waiting::{SendSignal, Watcher},
};

/// Subscriptions are numbered across the whole program.
static NEXT_SUBSCRIPTION: AtomicU64 = AtomicU64::new(1);

/// The actor to which every request goes: [`Spawn`], [`SpawnPipeline`], [`Subscribe`],
/// [`Unsubscribe`], [`SendSignal`], [`ShareOutput`], [`Shutdown`]. It supervises the watcher and
/// the read loop, and stops with its last address.
///
/// The counterpart of asyncio's event loop policy: by it a program reaches its child watcher.
#[derive(Debug)]
pub struct Policy {
    pub(super) host: Arc<PolicyThread>,
    pub(super) link: Arc<Mailbox>,
    pub(super) watcher: Addr<Watcher>,
    pub(super) spawn_pool: Rc<SpawnPool>,
}

impl Actor for Policy {
    type Context = Context<Self>;
}

impl Drop for Policy {
    /// The actor is dropped with its last address, in any state.
    fn drop(&mut self) {
        self.host.request_stop(self.host.grace, PolicyStopped::Shutdown);
    }
}

impl Supervised for Policy {}

impl Handler<Spawn> for Policy {
    type Result = SpawnTicket;

    fn handle(&mut self, message: Spawn, _: &mut Self::Context) -> Self::Result {
        SpawnTicket::new(message, Rc::clone(&self.spawn_pool))
    }
}

impl Handler<RequestSpawn> for Policy {
    type Result = ();

    fn handle(&mut self, RequestSpawn(message, reply): RequestSpawn, _: &mut Self::Context) {
        SpawnTicket::new(message, Rc::clone(&self.spawn_pool)).send(Some(reply));
    }
}

impl Handler<RequestPipeline> for Policy {
    type Result = ();

    fn handle(&mut self, RequestPipeline(message, reply): RequestPipeline, _: &mut Self::Context) {
        PipelineTicket::new(message, Rc::clone(&self.spawn_pool)).send(Some(reply));
    }
}

impl Handler<SpawnPipeline> for Policy {
    type Result = PipelineTicket;

    fn handle(&mut self, message: SpawnPipeline, _: &mut Self::Context) -> Self::Result {
        PipelineTicket::new(message, Rc::clone(&self.spawn_pool))
    }
}

impl Handler<Subscribe> for Policy {
    type Result = Result<SubscriptionId, PolicyStopped>;

    fn handle(&mut self, message: Subscribe, _: &mut Self::Context) -> Self::Result {
        let id = SubscriptionId(NEXT_SUBSCRIPTION.fetch_add(1, Relaxed));
        self.link.push(LoopCommand::Subscribe(id, message));
        Ok(id)
    }
}

impl Handler<Unsubscribe> for Policy {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut Self::Context) {
        self.link.push(LoopCommand::Unsubscribe(id));
    }
}

impl Handler<ShareOutput> for Policy {
    type Result = io::Result<SharedOutput>;

    fn handle(&mut self, kind: ShareOutput, _: &mut Self::Context) -> Self::Result {
        let (medium, (descriptor, writer)) = match kind {
            ShareOutput::Plain => (Medium::Pipe, sys::pipe::pair()?),
            ShareOutput::Attributed => (Medium::Attributed, sys::credentials::pair()?),
        };
        let context = ChildId::fresh();
        self.link.push(LoopCommand::Share(context, PipeEnd { medium, descriptor }));
        Ok(SharedOutput::new(context, writer))
    }
}

impl Handler<SendSignal> for Policy {
    type Result = ResponseFuture<Result<(), SignalError>>;

    fn handle(&mut self, message: SendSignal, _: &mut Self::Context) -> Self::Result {
        let sent = self.watcher.send(message);
        Box::pin(
            async move { sent.await.unwrap_or(Err(SignalError::Stopped(PolicyStopped::Shutdown))) },
        )
    }
}

impl Handler<Alarm> for Policy {
    type Result = ();

    fn handle(&mut self, Alarm { time, mut tell }: Alarm, _: &mut Self::Context) {
        actix::spawn(async move {
            tokio::select! {
                // The caller no longer waits.
                () = tell.closed() => {}
                () = sleep(time) => {
                    contain("the waker of an alarm", || tell.send(()));
                }
            }
        });
    }
}

impl Handler<Shutdown> for Policy {
    type Result = MessageResult<Shutdown>;

    fn handle(&mut self, Shutdown { grace }: Shutdown, _: &mut Self::Context) -> Self::Result {
        self.host.request_stop(grace, PolicyStopped::Shutdown);
        MessageResult(())
    }
}
