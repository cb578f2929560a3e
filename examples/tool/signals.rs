//! The tool's signals: taken by one thread that does nothing else, and never writes output.

use std::{
    fs, io,
    sync::{Arc, OnceLock, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use actix_process::{PolicyHandle, Shutdown};
use nix::sys::signal::{SigSet, Signal, raise};
use tokio::sync::mpsc::UnboundedSender;

use super::{End, family::Family};

/// How long children may take to end.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// A terminal that is closed says so twice, the kernel and the shell, within this time.
const HANGUP: Duration = Duration::from_millis(200);

/// What the session hears of.
#[derive(Debug)]
pub(crate) enum Event {
    /// A signal that ends the tool; `again` if it is not the first one.
    End { signal: Signal, again: bool },
    /// Ctrl-Z.
    Stop,
    /// The tool was continued.
    Continue,
    /// A child has stopped or ended.
    ChildChanged,
    /// Standard output takes no more.
    OutputFailed(io::Error),
}

/// The signals that the tool acts on, blocked on every thread.
pub(crate) struct Signals {
    heard: SigSet,
    /// The first one that ends the tool.
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Blocks the signals in this thread and those that it starts. A signal that is ignored stays
    /// ignored: `nohup`, and a shell's `&` without job control.
    pub(crate) fn block() -> Self {
        use Signal::*;
        // All that would end the tool, but for those that tell of its own mistakes.
        let asked = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM];
        let asked = asked.into_iter().chain([SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGTSTP]);
        let taken = asked.filter(|signal| !is_ignored(*signal));
        let heard: SigSet = taken.chain([SIGCHLD, SIGCONT]).collect();
        // In the background a read from the terminal then fails, and a write goes through even with
        // `stty tostop`: neither stops the tool, which would have to hear of its end. A write over
        // the limit of a file's size fails.
        let blocked: SigSet = heard.iter().chain([SIGTTIN, SIGTTOU, SIGXFSZ]).collect();
        // Only a wrong number can be refused.
        let _ = blocked.thread_block();
        Signals { heard, first: Arc::default() }
    }

    /// Starts the thread. The policy is told first-hand: that does not wait for anything either.
    pub(crate) fn listen(
        &self,
        policy: PolicyHandle,
        family: Arc<Family>,
        events: UnboundedSender<Event>,
    ) -> io::Result<()> {
        if is_ignored(Signal::SIGCHLD) {
            // With a handler, which is never run, the children's statuses are kept for us.
            drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child())?);
        }
        let (heard, first) = (self.heard, Arc::clone(&self.first));
        let take = move || take(heard, &first, &policy, &family, &events);
        thread::Builder::new().name("signals".into()).spawn(take)?;
        Ok(())
    }

    /// Ends the tool by the signal that has come, if one has: that counts for more than an error
    /// that it may have led to.
    pub(crate) fn leave_if_any(&self) {
        if let Some(signal) = self.first.get() {
            End::Signal(*signal).leave();
        }
        // No thread has taken those that wait.
        let _ = self.heard.thread_unblock();
    }
}

fn take(
    heard: SigSet,
    first: &OnceLock<Signal>,
    policy: &PolicyHandle,
    family: &Family,
    events: &UnboundedSender<Event>,
) {
    let mut since: Option<Instant> = None;
    loop {
        let Ok(signal) = heard.wait() else { continue };
        let is_echo = signal == Signal::SIGHUP
            && first.get() == Some(&signal)
            && since.is_some_and(|since| since.elapsed() < HANGUP);
        let event = match signal {
            Signal::SIGCHLD => Event::ChildChanged,
            Signal::SIGCONT => Event::Continue,
            Signal::SIGTSTP => Event::Stop,
            _ if is_echo => continue,
            _ => Event::End { signal, again: since.is_some() },
        };
        let Event::End { again, .. } = event else {
            let _ = events.send(event);
            continue;
        };
        let _ = first.set(signal);
        family.ending.store(true, Ordering::Relaxed);
        // First, so that the children's exits come after it.
        let _ = events.send(event);
        if again {
            policy.addr().do_send(Shutdown { grace: Duration::ZERO });
        } else {
            family.end(policy);
            // What has come meanwhile came at the same time.
            since = Some(Instant::now());
        }
    }
}

/// Stops the whole tool, as Ctrl-Z does, and returns when it is continued. Returns at once if no
/// shell is there that could continue it.
pub(crate) fn stop_self() {
    let stop = SigSet::from(Signal::SIGTSTP);
    let _ = stop.thread_unblock();
    let _ = raise(Signal::SIGTSTP);
    let _ = stop.thread_block();
}

fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}
