//! The handle's own requests: as `Spawn` and `SpawnPipeline`, but a caller that is dropped after
//! the answer arrived, and before it took the answer, also gives the spawn up.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use actix::{Message, dev::OneshotSender};
use tokio::sync::oneshot;

use super::{Spawn, SpawnPipeline};
use crate::{Child, RunningPipeline, SpawnError, child::Spawned};

/// [`Spawn`], and where its answer goes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RequestSpawn(
    pub(crate) Spawn,
    pub(crate) OneshotSender<Result<Child, SpawnError>>,
);

/// [`SpawnPipeline`], and where its answer goes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RequestPipeline(
    pub(crate) SpawnPipeline,
    pub(crate) OneshotSender<Result<RunningPipeline, SpawnError>>,
);

/// A caller that waits for its answer.
#[derive(Debug)]
pub(crate) struct Answer<T: Spawned>(oneshot::Receiver<Result<T, SpawnError>>);

/// Makes an answer's sender and receiver.
pub(crate) fn answer<T: Spawned>() -> (OneshotSender<Result<T, SpawnError>>, Answer<T>) {
    let (send, receive) = oneshot::channel();
    (send, Answer(receive))
}

impl<T: Spawned> Future for Answer<T> {
    /// `None` if no answer will come, because the policy has stopped.
    type Output = Option<Result<T, SpawnError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl<T: Spawned> Drop for Answer<T> {
    /// After the close, the spawn thread sees that the caller is gone; an earlier answer is here.
    fn drop(&mut self) {
        self.0.close();
        if let Ok(Ok(spawned)) = self.0.try_recv() {
            spawned.undo();
        }
    }
}
