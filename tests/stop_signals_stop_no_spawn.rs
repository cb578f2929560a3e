//! A Ctrl-Z at the wrong moment, between the birth of a child and its exec, stops no spawn.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use actix_process::{Command, Fault, Policy, ProcessGroup, inject};
use nix::{
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
    unistd::Pid,
};
use support::{again, within};

/// Of the process's own group.
const GROUP: Pid = Pid::from_raw(0);

extern "C" fn nothing(_: i32) {}

/// In a group of its own, whose parent is in the same session: to one without such a parent the
/// kernel sends no stops.
#[test]
fn four_hundred_rounds() {
    if again::told().is_none() {
        return again::run("four_hundred_rounds", "stopped");
    }
    // The program itself goes on, as one does that has something to do before it stops.
    let handler =
        SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGTSTP, &handler) }.unwrap();
    support::run(async || {
        let policy = Policy::start().unwrap();
        let (stopping, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let stopper = {
            let (stopping, over) = (Arc::clone(&stopping), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(SeqCst) {
                    if stopping.load(SeqCst) {
                        kill(GROUP, Signal::SIGTSTP).unwrap();
                    }
                    let next = Instant::now() + Duration::from_micros(100);
                    while Instant::now() < next {
                        std::thread::yield_now();
                    }
                }
            })
        };
        for round in 0..400 {
            let group = if round % 2 == 0 { ProcessGroup::Inherit } else { ProcessGroup::Own };
            inject(Fault::SpawnByClone, if round % 4 < 2 { 0 } else { usize::MAX });
            stopping.store(true, SeqCst);
            let begin = Instant::now();
            let spawn = policy.spawn(Command::new("true").process_group(group));
            let child = within(spawn).await.unwrap();
            stopping.store(false, SeqCst);
            assert!(begin.elapsed() < Duration::from_secs(10), "round {round}");
            // From its exec on it may have been stopped.
            let continued = async {
                while child.try_wait().is_none() {
                    kill(GROUP, Signal::SIGCONT).unwrap();
                    actix::clock::sleep(Duration::from_millis(1)).await;
                }
            };
            within(continued).await;
            assert!(child.wait().await.unwrap().status.success());
        }
        inject(Fault::SpawnByClone, 0);
        over.store(true, SeqCst);
        stopper.join().unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}
