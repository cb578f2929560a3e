//! Promise 6: no wake-up of the read loop is lost, whatever comes between whatever. The source under
//! test is the library's own file; loom tries every order of its steps.
#![cfg(test)]

#[path = "../src/pipes/wake.rs"]
mod wake;

/// What the file takes from its room, by loom.
mod sync {
    pub(crate) use loom::sync::{Mutex, atomic::AtomicU8};
}

use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread},
};

use wake::LoopWake;

/// A driver that sleeps by parking: a wake-up before the sleep ends it at once.
#[derive(Clone)]
struct LoopWaker(Thread);

impl LoopWaker {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// The read loop, until it has seen what it looks for. If a wake-up is lost, it never ends, which
/// loom tells.
fn run_until(wake: &LoopWake, mut seen: impl FnMut() -> bool) {
    loop {
        wake.run();
        if seen() {
            break;
        }
        if wake.sleep() {
            thread::park();
        }
    }
}

fn attached() -> Arc<LoopWake> {
    let wake = Arc::new(LoopWake::new());
    wake.attach(Some(LoopWaker(thread::current())));
    wake
}

#[test]
fn what_is_queued_is_taken_without_another_wake_up() {
    loom::model(|| {
        let wake = attached();
        let queue = Arc::new(Mutex::new(0));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (wake, queue) = (Arc::clone(&wake), Arc::clone(&queue));
                thread::spawn(move || {
                    *queue.lock().unwrap() += 1;
                    wake.notify();
                })
            })
            .collect();
        let mut taken = 0;
        run_until(&wake, || {
            taken += std::mem::take(&mut *queue.lock().unwrap());
            taken == 2
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// Credit and room are not queued: the loop looks at them after `run`.
#[test]
fn a_flag_that_is_set_before_the_notification_is_seen() {
    loom::model(|| {
        let wake = attached();
        let credit = Arc::new(AtomicUsize::new(0));
        let reader = {
            let (wake, credit) = (Arc::clone(&wake), Arc::clone(&credit));
            thread::spawn(move || {
                credit.store(1, SeqCst);
                wake.notify();
            })
        };
        run_until(&wake, || credit.load(SeqCst) == 1);
        reader.join().unwrap();
    });
}
