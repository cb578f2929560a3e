//! Ours: one real exit, sent to each recipient as the read loop's audience sends it: a liveness
//! check, a clone of the shared exit, a `do_send` through a `Recipient`.

use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Recipient};
use actix_process::{ChildExited, Command};
use tokio::sync::oneshot;

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Expect(u64, oneshot::Sender<()>);

#[derive(Default)]
struct Subscriber {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Expect> for Subscriber {
    type Result = ();

    fn handle(&mut self, Expect(count, done): Expect, _: &mut Self::Context) {
        (self.left, self.done) = (count, Some(done));
    }
}

impl Handler<ChildExited> for Subscriber {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Self::Context) {
        std::hint::black_box(exit.status);
        self.left -= 1;
        if self.left == 0 {
            self.done.take().unwrap().send(()).unwrap();
        }
    }
}

pub(crate) fn ours(recipients: usize, rounds: u64) -> Duration {
    actix_process_benches::with_policy(async |policy| {
        let exit = policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        let (mut all, mut done) = (Vec::<Recipient<ChildExited>>::new(), Vec::new());
        for _ in 0..recipients {
            let subscriber = Subscriber::default().start();
            let (send, receive) = oneshot::channel();
            subscriber.send(Expect(rounds, send)).await.unwrap();
            all.push(subscriber.recipient());
            done.push(receive);
        }
        let begin = Instant::now();
        for _ in 0..rounds {
            for recipient in &all {
                if recipient.connected() {
                    recipient.do_send(exit.clone());
                }
            }
            tokio::task::yield_now().await;
        }
        futures::future::try_join_all(done).await.unwrap();
        begin.elapsed()
    })
}
