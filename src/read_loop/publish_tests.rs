//! A long history delays neither the loop nor the other subscribers.

use std::sync::Mutex;

use actix::{Actor, Context, Handler, System};
use nix::time::{ClockId, clock_gettime};

use super::*;
use crate::{Entry, OutputBatch, Overflow, Source, Start, log::Chunk, types::Turn};

/// How much a child that has no subscriber writes.
const HISTORY: u64 = 200_000;

const QUIET: ChildId = ChildId(0);
const LOUD: ChildId = ChildId(1);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Seq>>>);

impl Seen {
    fn all(&self) -> Vec<Seq> {
        self.0.lock().unwrap().clone()
    }
}

impl Actor for Seen {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Seen {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        self.0.lock().unwrap().extend(batch.entries().map(|entry| entry.seq));
    }
}

fn push(link: &Mailbox, child: ChildId) -> Seq {
    let mut log = link.log();
    let bytes = vec![b'x'].into();
    let chunk = Chunk { stream: Source::Stdout, bytes, after_exit: false, writer: None };
    let seq = log.end();
    log.append(vec![Entry { seq, turn: Turn(seq.0), child, fact: Fact::Chunk(chunk) }]);
    seq
}

fn subscribe(publisher: &mut Publisher, start: Start) -> Seen {
    let seen = Seen::default();
    let recipient = seen.clone().start().recipient();
    let cursor = publisher.link.log().open(start, true);
    let credits = Credits::new(Arc::clone(publisher.link.shared_log().wake()), None);
    let id = SubscriptionId(publisher.outputs.len() as u64);
    let child = Some(QUIET);
    publisher.outputs.push_back(OutputSubscriber { id, recipient, cursor, credits, child });
    seen
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

#[test]
fn the_replay_of_a_quiet_child_takes_many_short_turns() {
    System::new().block_on(async {
        let link = Arc::new(Mailbox::new(256 * 1024 * 1024, Overflow::Block));
        let first = push(&link, QUIET);
        for _ in 0..HISTORY {
            push(&link, LOUD);
        }
        let mut publisher = Publisher::new(Arc::clone(&link));
        let seen: Vec<_> = (0..3).map(|_| subscribe(&mut publisher, Start::Beginning)).collect();
        let live = subscribe(&mut publisher, Start::Now);
        let (mut turns, mut longest) = (0, Duration::ZERO);
        let mut last = first;
        loop {
            if turns == 5 {
                last = push(&link, QUIET);
            }
            let begun = now();
            publisher.publish();
            longest = longest.max(now() - begun);
            turns += 1;
            if !publisher.has_more() {
                break;
            }
            // After this sleep the actor has run.
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(turns != 10 || live.all() == [last], "the others' history comes first");
        }
        println!("{turns} turns, the longest {longest:?}");
        assert!(turns > 10);
        assert!(longest < Duration::from_millis(5), "a turn took {longest:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        seen.iter().for_each(|seen| assert_eq!(seen.all(), [first, last]));
    });
}
