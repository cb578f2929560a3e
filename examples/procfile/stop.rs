//! How a process is ended: TERM, time, KILL, for the whole group, until nothing runs in it.

use std::{collections::HashSet, time::Duration};

use actix_process::{Child, SignalError, UnixSignal};
use nix::unistd::{Pid, getpgid};
use tokio::time::{Instant, sleep, timeout};

use super::tool::{GRACE, Process, is_empty, members};

/// What was killed may take this long to go.
const KILLED: Duration = Duration::from_secs(5);

/// Nothing tells when the last member of a group has gone.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the child and all that runs in its group, and says each step. Returns what still runs.
pub(crate) async fn stop(child: &Child, say: impl Fn(String)) -> Vec<Process> {
    say("TERM to its group".to_owned());
    // What is stopped acts on TERM when it is continued.
    for signal in [UnixSignal::SIGTERM, UnixSignal::SIGCONT] {
        send(child, signal, &say).await;
    }
    if !has_gone(child, GRACE).await {
        say(format!("it still runs after {} s: KILL to its group", GRACE.as_secs()));
        send(child, UnixSignal::SIGKILL, &say).await;
        has_gone(child, KILLED).await;
    }
    members(&HashSet::from([child.pid()]))
}

/// Signals the group, and the child itself if it has left that.
async fn send(child: &Child, signal: UnixSignal, say: &impl Fn(String)) {
    let pid = Pid::from_raw(child.pid());
    let left = child.try_wait().is_none() && getpgid(Some(pid)).is_ok_and(|group| group != pid);
    let mut sent = vec![child.signal_group(signal).await];
    if left {
        sent.push(child.signal(signal).await);
    }
    for error in sent.into_iter().filter_map(Result::err) {
        match error {
            // It ended meanwhile, or the policy is ending everything.
            SignalError::Ended(_) | SignalError::Stopped(_) => {}
            error => say(error.to_string()),
        }
    }
}

/// Whether the child has ended and nothing runs in its group, in time.
async fn has_gone(child: &Child, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    if timeout(within, child.wait()).await.is_err() {
        return false;
    }
    loop {
        if is_empty(child.pid()) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
}
