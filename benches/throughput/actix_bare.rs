//! Bare actix: the honest line for what our messages cost on top.

use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, System};
use tokio::sync::oneshot;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Expect(u64, oneshot::Sender<()>);

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Tell(u64);

#[derive(actix::Message)]
#[rtype(result = "u64")]
struct Ask(u64);

#[derive(Default)]
struct Receiver {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Receiver {
    type Context = Context<Self>;
}

impl Handler<Expect> for Receiver {
    type Result = ();

    fn handle(&mut self, Expect(count, done): Expect, _: &mut Self::Context) {
        (self.left, self.done) = (count, Some(done));
    }
}

impl Handler<Tell> for Receiver {
    type Result = ();

    fn handle(&mut self, Tell(number): Tell, _: &mut Self::Context) {
        std::hint::black_box(number);
        self.left -= 1;
        if self.left == 0 {
            self.done.take().unwrap().send(()).unwrap();
        }
    }
}

impl Handler<Ask> for Receiver {
    type Result = u64;

    fn handle(&mut self, Ask(number): Ask, _: &mut Self::Context) -> u64 {
        number
    }
}

async fn started(expected: u64) -> (Addr<Receiver>, oneshot::Receiver<()>) {
    let receiver = Receiver::default().start();
    let (done, finished) = oneshot::channel();
    receiver.send(Expect(expected, done)).await.unwrap();
    (receiver, finished)
}

pub(crate) fn tell(messages: u64) -> Duration {
    System::new().block_on(async {
        let (receiver, finished) = started(messages).await;
        let begin = Instant::now();
        (0..messages).for_each(|number| receiver.do_send(Tell(number)));
        finished.await.unwrap();
        begin.elapsed()
    })
}

pub(crate) fn ask(messages: u64) -> Duration {
    System::new().block_on(async {
        let (receiver, _finished) = started(1).await;
        let begin = Instant::now();
        for number in 0..messages {
            assert_eq!(receiver.send(Ask(number)).await.unwrap(), number);
        }
        begin.elapsed()
    })
}

pub(crate) fn fan_out(recipients: usize, rounds: u64) -> Duration {
    System::new().block_on(async {
        let (mut all, mut done) = (Vec::new(), Vec::new());
        for _ in 0..recipients {
            let (receiver, finished) = started(rounds).await;
            all.push(receiver);
            done.push(finished);
        }
        let begin = Instant::now();
        for number in 0..rounds {
            all.iter().for_each(|receiver| receiver.do_send(Tell(number)));
            tokio::task::yield_now().await;
        }
        futures::future::try_join_all(done).await.unwrap();
        begin.elapsed()
    })
}
