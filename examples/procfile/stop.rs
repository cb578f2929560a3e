//! How a process is ended: TERM, time, KILL, for its group and all that it has started else, until
//! nothing of it runs.

use std::time::Duration;

use actix_process::{Child, Signal, SignalError};
use tokio::time::{Instant, sleep, timeout};

use super::tool::{Family, GRACE, Process};

/// What was killed may take this long to go.
const KILLED: Duration = Duration::from_secs(5);

/// Nothing tells when the last one has gone.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the child of this name and all that it has started, and says each step. Returns what still
/// runs.
pub(crate) async fn stop(
    family: &Family,
    name: usize,
    child: &Child,
    say: impl Fn(String),
) -> Vec<Process> {
    let send = async |signal: Signal| match child.signal_group(signal).await {
        // It ended meanwhile, or the policy is ending everything.
        Ok(()) | Err(SignalError::Ended(_) | SignalError::Stopped(_)) => {}
        Err(error) => say(error.to_string()),
    };
    say("TERM to its group".to_owned());
    // Whose the strays are is known as long as their parents are there.
    let strays = family.strays(Some(name));
    // What is stopped acts on TERM when it is continued.
    send(Signal::SIGTERM).await;
    send(Signal::SIGCONT).await;
    family.terminate(strays, Some(name));
    if !has_gone(family, name, child, GRACE).await {
        say(format!("it still runs after {} s: KILL to its group", GRACE.as_secs()));
        send(Signal::SIGKILL).await;
        family.kill_strays(Some(name));
        has_gone(family, name, child, KILLED).await;
    }
    left(family, name)
}

/// What this name's children have started and still runs.
pub(crate) fn left(family: &Family, name: usize) -> Vec<Process> {
    let living = family.living().into_iter().filter(|it| it.name == Some(name));
    living.map(|it| it.process).collect()
}

/// Whether the child has ended and nothing that it started runs, in time.
async fn has_gone(family: &Family, name: usize, child: &Child, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    if timeout(within, child.wait()).await.is_err() {
        return false;
    }
    // One may have left the group just before that was told to end.
    family.terminate(family.strays(Some(name)), Some(name));
    loop {
        if left(family, name).is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
}
