//! Signals as messages, on any thread's loop.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use actix::{Actor, Context, Handler, Recipient};
use actix_process::asyncio::{EventLoop, SignalArrived, SignalHandlerError};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use support::{run, until};

struct Counter(i32, Arc<AtomicUsize>);

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<SignalArrived> for Counter {
    type Result = ();

    fn handle(&mut self, arrived: SignalArrived, _: &mut Self::Context) {
        assert_eq!(arrived.signal, self.0);
        self.1.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Recipient<SignalArrived>, Arc<AtomicUsize>) {
    counter_of(libc::SIGUSR1)
}

fn counter_of(signal: i32) -> (Recipient<SignalArrived>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    (Counter(signal, Arc::clone(&count)).start().recipient(), count)
}

static FOREIGN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn foreign(_: i32) {
    FOREIGN.fetch_add(1, SeqCst);
}

/// A handler of the program's own, so that SIGUSR1 does not end it.
fn with_foreign(test: impl AsyncFnOnce()) {
    run(async || {
        let own =
            SigAction::new(SigHandler::Handler(foreign), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler adds to an atomic.
        let before = unsafe { sigaction(Signal::SIGUSR1, &own) }.unwrap();
        test().await;
        // SAFETY: it was there before.
        let after = unsafe { sigaction(Signal::SIGUSR1, &before) }.unwrap();
        let restored = matches!(after.handler(), SigHandler::Handler(it) if it as usize == foreign as *const () as usize);
        assert!(restored, "the disposition is not restored");
    });
}

#[test]
fn a_signal_is_a_message_and_earlier_handlers_are_still_called() {
    with_foreign(async || {
        let here = EventLoop::current().unwrap();
        let (recipient, count) = counter();
        here.add_signal_handler(libc::SIGUSR1, recipient).unwrap();
        for times in 1..=3 {
            let foreign = FOREIGN.load(SeqCst);
            raise(Signal::SIGUSR1).unwrap();
            until("the signal is told", || count.load(SeqCst) == times).await;
            assert_eq!(FOREIGN.load(SeqCst), foreign + 1);
        }
        assert!(here.remove_signal_handler(libc::SIGUSR1));
        assert!(!here.remove_signal_handler(libc::SIGUSR1));
        let foreign = FOREIGN.load(SeqCst);
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!((FOREIGN.load(SeqCst), count.load(SeqCst)), (foreign + 1, 3));
    });
}

#[test]
fn several_loops_listen_and_a_second_handler_replaces_the_first() {
    with_foreign(async || {
        let loops = [EventLoop::current().unwrap(), EventLoop::start().unwrap()];
        let (replaced, never) = counter();
        loops[0].add_signal_handler(libc::SIGUSR1, replaced).unwrap();
        let counters: Vec<_> = loops
            .iter()
            .map(|it| {
                let (recipient, count) = counter();
                it.add_signal_handler(libc::SIGUSR1, recipient).unwrap();
                count
            })
            .collect();
        raise(Signal::SIGUSR1).unwrap();
        for count in &counters {
            until("each loop is told", || count.load(SeqCst) == 1).await;
        }
        assert_eq!(never.load(SeqCst), 0);
        // With one of them gone the other goes on; a loop that ends takes its handler with it.
        assert!(loops[0].remove_signal_handler(libc::SIGUSR1));
        raise(Signal::SIGUSR1).unwrap();
        until("the other loop is told", || counters[1].load(SeqCst) == 2).await;
        assert_eq!(counters[0].load(SeqCst), 1);
    });
}

#[test]
fn a_handler_is_told_of_no_signal_that_came_before_it() {
    with_foreign(async || {
        let loops = [EventLoop::current().unwrap(), EventLoop::start().unwrap()];
        let (recipient, first) = counter();
        loops[0].add_signal_handler(libc::SIGUSR1, recipient).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        until("the signal is told", || first.load(SeqCst) == 1).await;
        let (recipient, late) = counter();
        loops[1].add_signal_handler(libc::SIGUSR1, recipient).unwrap();
        let (recipient, replacing) = counter();
        loops[0].add_signal_handler(libc::SIGUSR1, recipient).unwrap();
        // A signal that was told wrongly would have been told before another, later one.
        let mut others = Vec::new();
        for event_loop in &loops {
            let (recipient, other) = counter_of(libc::SIGUSR2);
            event_loop.add_signal_handler(libc::SIGUSR2, recipient).unwrap();
            others.push(other);
        }
        raise(Signal::SIGUSR2).unwrap();
        until("both are told the other", || others.iter().all(|it| it.load(SeqCst) == 1)).await;
        assert_eq!((late.load(SeqCst), replacing.load(SeqCst)), (0, 0));
        raise(Signal::SIGUSR1).unwrap();
        until("both are told", || late.load(SeqCst) + replacing.load(SeqCst) == 2).await;
        assert!(loops.iter().all(|it| it.remove_signal_handler(libc::SIGUSR1)));
        assert!(loops.iter().all(|it| it.remove_signal_handler(libc::SIGUSR2)));
    });
}

#[test]
fn what_cannot_be_handled_is_refused() {
    run(async || {
        let here = EventLoop::current().unwrap();
        let (recipient, _) = counter();
        let add = |signal| here.add_signal_handler(signal, recipient.clone());
        for signal in [libc::SIGKILL, libc::SIGSTOP] {
            let error = add(signal).unwrap_err();
            assert!(matches!(error, SignalHandlerError::Unhandleable(it) if it == signal));
            assert!(error.to_string().contains("cannot be handled"), "{error}");
        }
        for signal in [0, -1, 65, 32, i32::MAX] {
            assert!(matches!(add(signal), Err(SignalHandlerError::Invalid(it)) if it == signal));
            assert!(!here.remove_signal_handler(signal));
        }
        let ended = EventLoop::start().unwrap();
        ended.spawn(async { actix::System::current().stop() });
        until("the loop ends", || !ended.is_running()).await;
        let refused = ended.add_signal_handler(libc::SIGUSR1, recipient.clone());
        assert!(matches!(refused, Err(SignalHandlerError::LoopEnded(libc::SIGUSR1))));
    });
}
