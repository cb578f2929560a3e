//! A subscriber of output that gives each chunk to a closure, until so many children have closed.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use actix_process::{ChildId, Command, Fact, OutputBatch, PolicyHandle, Subscribe, log::Chunk};
use futures::{StreamExt, future, stream};
use tokio::sync::oneshot;

struct Sink<F> {
    each: F,
    open: usize,
    done: Option<oneshot::Sender<()>>,
}

impl<F: FnMut(ChildId, &Chunk) + Unpin + 'static> Actor for Sink<F> {
    type Context = Context<Self>;
}

impl<F: FnMut(ChildId, &Chunk) + Unpin + 'static> Handler<OutputBatch> for Sink<F> {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        for entry in batch.entries() {
            match &entry.fact {
                Fact::Chunk(chunk) => (self.each)(entry.child, chunk),
                Fact::Closed => self.open -= 1,
                _ => {}
            }
        }
        assert_eq!(batch.gap(), None, "a lossless subscriber lost output");
        if self.open == 0
            && let Some(done) = self.done.take()
        {
            done.send(()).expect("somebody waits");
        }
    }
}

/// Runs the commands and gives every chunk of them to `each`; returns when all have closed.
pub async fn run(
    policy: &PolicyHandle,
    commands: Vec<Command>,
    each: impl FnMut(ChildId, &Chunk) + Unpin + 'static,
) {
    let finished = subscribe(policy, commands.len(), each).await;
    let spawns = commands.into_iter().map(|command| policy.spawn(command));
    futures::future::try_join_all(spawns).await.expect("children");
    finished.await.expect("the sink tells");
}

/// The same with only so many children alive at a time; gives how many of them exited with 0.
pub async fn run_some(
    policy: &PolicyHandle,
    commands: Vec<Command>,
    at_a_time: usize,
    each: impl FnMut(ChildId, &Chunk) + Unpin + 'static,
) -> usize {
    let finished = subscribe(policy, commands.len(), each).await;
    let exits = stream::iter(commands).map(async |command| {
        let child = policy.spawn(command).await.expect("a child");
        child.wait().await.expect("its exit").status.success()
    });
    let successes = exits.buffer_unordered(at_a_time).filter(|success| future::ready(*success));
    let count = successes.count().await;
    finished.await.expect("the sink tells");
    count
}

/// Subscribes a sink, which tells when so many children have closed.
async fn subscribe(
    policy: &PolicyHandle,
    children: usize,
    each: impl FnMut(ChildId, &Chunk) + Unpin + 'static,
) -> oneshot::Receiver<()> {
    let (done, finished) = oneshot::channel();
    let sink = Sink { each, open: children, done: Some(done) }.start();
    policy.subscribe(Subscribe::output(sink.recipient())).await.expect("a running policy");
    finished
}

/// A counter that a closure and its maker share.
pub fn shared<T>(value: T) -> Arc<std::sync::Mutex<T>> {
    Arc::new(std::sync::Mutex::new(value))
}
