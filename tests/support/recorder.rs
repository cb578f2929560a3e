//! A subscriber that records everything it is sent, and can be stalled.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler};
use actix_process::{ChildExited, Entry, Lifecycle, OutputBatch, log::Gap};
use tokio::sync::Notify;

use super::lock;

#[derive(Default)]
pub struct Record {
    exits: Mutex<Vec<ChildExited>>,
    lifecycle: Mutex<Vec<Lifecycle>>,
    entries: Mutex<Vec<Entry>>,
    gaps: Mutex<Vec<Gap>>,
    changed: Notify,
    stalled: Mutex<bool>,
    go_on: Condvar,
}

/// The actor.
pub struct Recorder(Arc<Record>);

impl Actor for Recorder {
    type Context = Context<Self>;
}

/// Starts a recorder on the current arbiter.
pub fn start() -> (Addr<Recorder>, Arc<Record>) {
    let record = Arc::new(Record::default());
    (Recorder(Arc::clone(&record)).start(), record)
}

/// Starts a recorder whose mailbox takes one message, on an arbiter of its own, stalled.
pub fn start_stalled(arbiter: &actix::Arbiter) -> (Addr<Recorder>, Arc<Record>) {
    let record = Arc::new(Record::default());
    *lock(&record.stalled) = true;
    let theirs = Arc::clone(&record);
    let addr = Recorder::start_in_arbiter(&arbiter.handle(), move |context| {
        context.set_mailbox_capacity(1);
        Recorder(theirs)
    });
    (addr, record)
}

impl Record {
    pub fn exits(&self) -> Vec<ChildExited> {
        lock(&self.exits).clone()
    }

    pub fn lifecycle(&self) -> Vec<Lifecycle> {
        lock(&self.lifecycle).clone()
    }

    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.entries).clone()
    }

    pub fn gaps(&self) -> Vec<Gap> {
        lock(&self.gaps).clone()
    }

    /// Waits until the record is as wanted.
    pub async fn until(&self, mut wanted: impl FnMut(&Record) -> bool) {
        super::within(async {
            loop {
                let changed = self.changed.notified();
                if wanted(self) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    pub async fn until_exits(&self, count: usize) -> Vec<ChildExited> {
        self.until(|record| lock(&record.exits).len() >= count).await;
        self.exits()
    }

    /// Lets a stalled recorder go on.
    pub fn release(&self) {
        *lock(&self.stalled) = false;
        self.go_on.notify_all();
    }

    fn stall(&self) {
        let stalled = lock(&self.stalled);
        let waited = self.go_on.wait_timeout_while(stalled, Duration::from_secs(60), |it| *it);
        assert!(!waited.unwrap().1.timed_out(), "the stalled recorder was never released");
    }

    fn push<T>(&self, list: &Mutex<Vec<T>>, items: impl IntoIterator<Item = T>) {
        self.stall();
        lock(list).extend(items);
        self.changed.notify_waiters();
    }
}

impl Handler<ChildExited> for Recorder {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Self::Context) {
        self.0.push(&self.0.exits, [exit]);
    }
}

impl Handler<Lifecycle> for Recorder {
    type Result = ();

    fn handle(&mut self, event: Lifecycle, _: &mut Self::Context) {
        self.0.push(&self.0.lifecycle, [event]);
    }
}

impl Handler<OutputBatch> for Recorder {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        lock(&self.0.gaps).extend(batch.gap());
        self.0.push(&self.0.entries, batch.entries().cloned());
    }
}
