//! `Storm`: a signal to this process's whole group, again and again. For tests that `again` runs in
//! a group of their own.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
    unistd::Pid,
};

/// This process's own group.
pub const GROUP: Pid = Pid::from_raw(0);

extern "C" fn nothing(_: i32) {}

/// Ends with its drop.
pub struct Storm {
    blows: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    /// This process handles the signal, and goes on.
    pub fn of(signal: Signal, period: Duration) -> Self {
        let handler =
            SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does nothing.
        unsafe { sigaction(signal, &handler) }.unwrap();
        let (blows, over) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (blows, over) = (Arc::clone(&blows), Arc::clone(&over));
            thread::spawn(move || {
                while !over.load(SeqCst) {
                    if blows.load(SeqCst) {
                        kill(GROUP, signal).unwrap();
                    }
                    let next = Instant::now() + period;
                    while Instant::now() < next {
                        thread::yield_now();
                    }
                }
            })
        };
        Storm { blows, over, thread: Some(thread) }
    }

    /// Signals until the future is ready.
    pub async fn during<F: Future>(&self, future: F) -> F::Output {
        self.blows.store(true, SeqCst);
        let output = super::within(future).await;
        self.blows.store(false, SeqCst);
        output
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // A panic of it is recorded as every thread's.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
