//! Promise 6, on the subscriber's own thread: whatever a subscriber of output does beside a child
//! that never stops writing, the timers and the other futures of its arbiter run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use actix_process::{Command, Fact, OutputBatch, PolicyHandle, Start, Subscribe};
use support::{run_with_policy, within};
use tokio::sync::oneshot;

const TICKS: u32 = 20;
const TICK: Duration = Duration::from_millis(100);

/// What a subscriber does with a batch.
#[derive(Clone)]
enum Does {
    Drops,
    TakesLongForEach(Duration),
    TakesLongForEachByte,
    KeepsSome,
    Forwards(Recipient<OutputBatch>),
}

struct Subscriber {
    does: Does,
    kept: VecDeque<OutputBatch>,
    ticks: u32,
    done: Option<oneshot::Sender<Duration>>,
    begun: Instant,
    chained: bool,
}

impl Subscriber {
    fn tick(&mut self, context: &mut Context<Self>) {
        self.ticks += 1;
        if self.ticks == TICKS {
            let _ = self.done.take().unwrap().send(self.begun.elapsed());
        } else if self.ticks < TICKS && self.chained {
            context.run_later(TICK, Self::tick);
        }
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.begun = Instant::now();
        if self.chained {
            context.run_later(TICK, Self::tick);
        } else {
            context.run_interval(TICK, |it, context| {
                if it.ticks < TICKS {
                    it.tick(context);
                }
            });
        }
    }
}

impl Handler<OutputBatch> for Subscriber {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        match &self.does {
            Does::Drops => {}
            Does::TakesLongForEach(time) => thread::sleep(*time),
            Does::TakesLongForEachByte => {
                for entry in batch.entries() {
                    if let Fact::Chunk(chunk) = &entry.fact {
                        thread::sleep(Duration::from_nanos(20 * chunk.bytes.len() as u64));
                    }
                }
            }
            Does::KeepsSome => {
                self.kept.push_back(batch);
                self.kept.truncate(3);
                self.kept.rotate_right(1);
            }
            Does::Forwards(to) => to.do_send(batch),
        }
    }
}

/// Drops what it is forwarded.
struct Elsewhere;

impl Actor for Elsewhere {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Elsewhere {
    type Result = ();

    fn handle(&mut self, _: OutputBatch, _: &mut Self::Context) {}
}

fn in_time(what: &str, elapsed: Duration) {
    // The first tick may be counted from a little before its timer was set.
    let least = TICK * TICKS - Duration::from_millis(20);
    let most = TICK * TICKS + Duration::from_millis(300);
    assert!((least..most).contains(&elapsed), "{what}: {elapsed:?}");
}

async fn ticks_beside(policy: &PolicyHandle, what: &str, does: Does) {
    let child = policy.spawn(Command::new("yes")).await.unwrap();
    for chained in [false, true] {
        let (done, ticked) = oneshot::channel();
        let subscriber = Subscriber {
            does: does.clone(),
            kept: VecDeque::new(),
            ticks: 0,
            done: Some(done),
            begun: Instant::now(),
            chained,
        };
        let subscription =
            policy.subscribe(Subscribe::output(subscriber.start().recipient())).await.unwrap();
        let (future_done, future) = oneshot::channel();
        actix::spawn(async move {
            let begun = Instant::now();
            for _ in 0..TICKS {
                actix::clock::sleep(TICK).await;
            }
            let _ = future_done.send(begun.elapsed());
        });
        in_time(what, within(ticked).await.unwrap());
        in_time(what, within(future).await.unwrap());
        policy.unsubscribe(subscription).await;
    }
    child.kill().await.unwrap();
    within(child.wait()).await.unwrap();
}

#[test]
fn one_that_drops_at_once() {
    run_with_policy(async |policy| ticks_beside(policy, "drops", Does::Drops).await);
}

#[test]
fn one_that_is_slow_for_each_batch() {
    run_with_policy(async |policy| {
        ticks_beside(policy, "slow", Does::TakesLongForEach(Duration::from_millis(4))).await;
    });
}

#[test]
fn one_that_is_slow_for_each_byte() {
    run_with_policy(async |policy| {
        ticks_beside(policy, "slow bytes", Does::TakesLongForEachByte).await;
    });
}

#[test]
fn one_that_keeps_batches() {
    run_with_policy(async |policy| ticks_beside(policy, "keeps", Does::KeepsSome).await);
}

#[test]
fn one_that_forwards_to_another_thread() {
    run_with_policy(async |policy| {
        let arbiter = actix::Arbiter::new();
        let elsewhere = Elsewhere::start_in_arbiter(&arbiter.handle(), |_| Elsewhere);
        ticks_beside(policy, "forwards", Does::Forwards(elsewhere.recipient())).await;
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn a_reader_that_always_has_more_to_read() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::new("yes")).await.unwrap();
        let mut reader = policy.log(Start::Now);
        let reading = actix::spawn(async move { while reader.next().await.is_some() {} });
        let begun = Instant::now();
        for _ in 0..TICKS {
            actix::clock::sleep(TICK).await;
        }
        in_time("a reader", begun.elapsed());
        reading.abort();
        child.kill().await.unwrap();
    });
}

/// A thread that blocks its own arbiter never comes round to its timers, and gets its batches.
#[test]
fn one_that_blocks_its_arbiter_still_gets_everything() {
    struct Through(std::sync::mpsc::Sender<OutputBatch>);
    impl Actor for Through {
        type Context = Context<Self>;
    }
    impl Handler<OutputBatch> for Through {
        type Result = ();
        fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
            let _ = self.0.send(batch);
        }
    }
    run_with_policy(async |policy| {
        let arbiter = actix::Arbiter::new();
        let (to, from) = std::sync::mpsc::channel();
        let through = Through::start_in_arbiter(&arbiter.handle(), |_| Through(to));
        policy.subscribe(Subscribe::output(through.clone().recipient())).await.unwrap();
        let command = Command::new("head").args(["-c", "3000000", "/dev/zero"]);
        policy.spawn(command).await.unwrap();
        let mut bytes = 0;
        while bytes < 3_000_000 {
            let batch = from.recv_timeout(support::DEADLINE).unwrap();
            for entry in batch.entries() {
                if let Fact::Chunk(chunk) = &entry.fact {
                    bytes += chunk.bytes.len();
                }
            }
        }
        drop(through);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}
