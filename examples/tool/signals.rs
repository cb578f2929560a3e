//! The tool's signals: taken by one thread that does nothing else, and never writes output.

use std::{fs, io, thread, time::Duration};

use actix_process::{PolicyHandle, Shutdown};
use nix::sys::signal::{SigSet, Signal, raise};
use tokio::sync::mpsc::UnboundedSender;

/// How long children may take to end.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

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
}

impl Signals {
    /// Blocks the signals in this thread and those that it starts. A signal that is ignored stays
    /// ignored: `nohup`, and a shell's `&` without job control.
    pub(crate) fn block() -> Self {
        use Signal::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN};
        let asked = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP];
        let taken = asked.into_iter().filter(|signal| !is_ignored(*signal));
        let heard: SigSet = taken.chain([SIGCHLD, SIGCONT]).collect();
        // A read from the terminal in the background then fails, and does not stop the tool.
        let blocked: SigSet = heard.iter().chain([SIGTTIN]).collect();
        // Only a wrong number can be refused.
        let _ = blocked.thread_block();
        Signals { heard }
    }

    /// Starts the thread. The policy is told first-hand: that does not wait for anything either.
    pub(crate) fn listen(
        self,
        policy: PolicyHandle,
        events: UnboundedSender<Event>,
    ) -> io::Result<()> {
        if is_ignored(Signal::SIGCHLD) {
            // With a handler, which is never run, the children's statuses are kept for us.
            drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child())?);
        }
        thread::Builder::new().name("signals".into()).spawn(move || self.take(&policy, &events))?;
        Ok(())
    }

    fn take(&self, policy: &PolicyHandle, events: &UnboundedSender<Event>) {
        let mut first = None;
        loop {
            let Ok(signal) = self.heard.wait() else { continue };
            let event = match signal {
                Signal::SIGCHLD => Event::ChildChanged,
                Signal::SIGCONT => Event::Continue,
                Signal::SIGTSTP => Event::Stop,
                // A terminal that is closed says it twice: the kernel does, and the shell.
                Signal::SIGHUP if first == Some(Signal::SIGHUP) => continue,
                _ => Event::End { signal, again: first.is_some() },
            };
            let grace = match event {
                Event::End { again: false, .. } => Some(GRACE),
                Event::End { again: true, .. } => Some(Duration::ZERO),
                _ => None,
            };
            // First, so that the children's exits come after it.
            let _ = events.send(event);
            if let Some(grace) = grace {
                first.get_or_insert(signal);
                policy.addr().do_send(Shutdown { grace });
            }
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
