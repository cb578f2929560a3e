//! kameo with unbounded mailboxes, on the same kind of runtime.

use std::time::{Duration, Instant};

use kameo::{
    Actor,
    actor::{ActorRef, Spawn},
    mailbox,
    message::{Context, Message},
};
use tokio::sync::oneshot;

use actix_process_benches::current_thread;

#[derive(Actor)]
struct Receiver {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

struct Tell(u64);

struct Ask(u64);

impl Message<Tell> for Receiver {
    type Reply = ();

    async fn handle(&mut self, Tell(number): Tell, _: &mut Context<Self, ()>) {
        std::hint::black_box(number);
        self.left -= 1;
        if self.left == 0 {
            self.done.take().unwrap().send(()).unwrap();
        }
    }
}

impl Message<Ask> for Receiver {
    type Reply = u64;

    async fn handle(&mut self, Ask(number): Ask, _: &mut Context<Self, u64>) -> u64 {
        number
    }
}

/// An actor that has answered once, so that it runs.
async fn started(expected: u64) -> (ActorRef<Receiver>, oneshot::Receiver<()>) {
    let (done, finished) = oneshot::channel();
    let state = Receiver { left: expected, done: Some(done) };
    let receiver = Receiver::spawn_with_mailbox(state, mailbox::unbounded());
    assert_eq!(receiver.ask(Ask(7)).await.unwrap(), 7);
    (receiver, finished)
}

pub(crate) fn tell(messages: u64) -> Duration {
    current_thread().block_on(async {
        let (receiver, finished) = started(messages).await;
        let begin = Instant::now();
        for number in 0..messages {
            receiver.tell(Tell(number)).try_send().unwrap();
        }
        finished.await.unwrap();
        begin.elapsed()
    })
}

pub(crate) fn ask(messages: u64) -> Duration {
    current_thread().block_on(async {
        let (receiver, _finished) = started(1).await;
        let begin = Instant::now();
        for number in 0..messages {
            assert_eq!(receiver.ask(Ask(number)).await.unwrap(), number);
        }
        begin.elapsed()
    })
}

pub(crate) fn fan_out(recipients: usize, rounds: u64) -> Duration {
    current_thread().block_on(async {
        let (mut all, mut done) = (Vec::new(), Vec::new());
        for _ in 0..recipients {
            let (receiver, finished) = started(rounds).await;
            all.push(receiver);
            done.push(finished);
        }
        let begin = Instant::now();
        for number in 0..rounds {
            for receiver in &all {
                receiver.tell(Tell(number)).try_send().unwrap();
            }
            tokio::task::yield_now().await;
        }
        futures::future::try_join_all(done).await.unwrap();
        begin.elapsed()
    })
}
