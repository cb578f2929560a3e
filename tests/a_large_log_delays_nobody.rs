//! No work in proportion to the log is done on the loop's thread or under the log's lock: beside a
//! reader of all of it, another child's line reaches its subscriber at once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actix::{Actor, Arbiter, Context, Handler};
use actix_process::{
    Child, Command, Fact, OutputBatch, Policy, PolicyHandle, Subscribe, error::OutputError,
};
use support::{lock, run, within};

const WRITTEN: usize = 400_000_000;

/// The longest that a line may be on its way; a busy machine adds some.
const SOON: Duration = Duration::from_millis(50);

struct Times(Arc<Mutex<Vec<Instant>>>);

impl Actor for Times {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Times {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        let now = Instant::now();
        let chunks = batch.entries().filter(|entry| matches!(entry.fact, Fact::Chunk(_)));
        lock(&self.0).extend(chunks.map(|_| now));
    }
}

/// The longest pause between two of a ticking child's lines while `work` is done.
async fn beside(policy: &PolicyHandle, work: impl AsyncFnOnce()) -> Duration {
    let line = "while :; do echo tick; sleep 0.001; done";
    let ticking = policy.spawn(Command::shell(line)).await.unwrap();
    let arbiter = Arbiter::new();
    let times = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&times);
    let subscriber = Times::start_in_arbiter(&arbiter.handle(), |_| Times(theirs));
    let subscribe = Subscribe::output(subscriber.clone().recipient()).of(&ticking);
    policy.subscribe(subscribe).await.unwrap();
    support::until("it ticks", || lock(&times).len() > 20).await;
    let begun = Instant::now();
    // A pause can begin right here.
    *lock(&times) = vec![begun];
    work().await;
    let took = begun.elapsed();
    let seen = lock(&times).len();
    support::until("it ticks on", || lock(&times).len() > seen + 20).await;
    let times = lock(&times).clone();
    let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    println!("took {took:?}; the longest pause was {longest:?}");
    ticking.kill().await.unwrap();
    within(ticking.wait()).await.unwrap();
    drop(subscriber);
    arbiter.stop();
    arbiter.join().unwrap();
    longest
}

async fn full_log() -> (PolicyHandle, Child) {
    let policy = Policy::builder().log_bound(500_000_000).start().unwrap();
    let command = Command::new("head").args(["-c", &WRITTEN.to_string(), "/dev/zero"]);
    let child = policy.spawn(command).await.unwrap();
    assert_eq!(within(child.wait()).await.unwrap().output_bytes, WRITTEN as u64);
    (policy, child)
}

#[test]
fn the_whole_output_and_the_last_lines_of_a_child() {
    run(async || {
        let (policy, child) = full_log().await;
        let longest = beside(&policy, async || {
            let output = within(child.output()).await.unwrap();
            assert_eq!((output.stdout.len(), output.missing), (WRITTEN, 0));
        })
        .await;
        assert!(longest < SOON, "beside output(): {longest:?}");
        let longest = beside(&policy, async || {
            let child = child.clone();
            let last = thread::spawn(move || child.last_lines(10).len()).join().unwrap();
            assert_eq!(last, 10);
        })
        .await;
        assert!(longest < SOON, "beside last_lines(): {longest:?}");
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn output_that_is_not_waited_for_any_more_is_not_collected() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let command = Command::shell("head -c 3000000 /dev/zero");
        let child = policy.spawn(command).await.unwrap();
        {
            let mut output = std::pin::pin!(child.output());
            let _ = futures::poll!(output.as_mut());
        }
        within(child.wait()).await.unwrap();
        let error = within(child.output()).await.unwrap_err();
        assert!(
            matches!(error, OutputError::Missing { bytes, .. } if bytes > 2_000_000),
            "{error}"
        );
        let output = within(child.output_lossy()).await.unwrap();
        assert!(output.missing > 2_000_000);
        assert_eq!(output.stdout.len() as u64 + output.missing, 3_000_000);
        policy.shutdown(Duration::ZERO).await;
    });
}
