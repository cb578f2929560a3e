//! `StateManager`: the one-thread `SyncArbiter` actor whose single message is the read loop.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use actix::{Actor, Handler, Message, MessageResult, SyncContext};
use tokio::sync::{mpsc, oneshot};

use super::{Mailbox, core::Core};
use crate::{
    PolicyStopped, StartError,
    pipes::{self, Driver},
    restart::{Intensity, Restarts, dispose, judge, message_of},
    sys::thread_id::ThreadId,
    types::Part,
};

/// The arbiter of pipes. It has no state, so that a panic loses none.
#[derive(Debug)]
pub(crate) struct StateManager {
    /// Closed when the thread has dropped the actor: that thread cannot be joined.
    pub(crate) _alive: mpsc::Sender<()>,
}

impl Actor for StateManager {
    type Context = SyncContext<Self>;
}

/// The one message: run the read loop until a command ends it.
#[derive(Debug, Message)]
#[rtype(result = "PolicyStopped")]
pub(crate) struct Run {
    pub(crate) link: Arc<Mailbox>,
    pub(crate) driver: Option<Driver>,
    pub(crate) intensity: Intensity,
    /// Receives once whether the driver works, and on which thread.
    pub(crate) ready: oneshot::Sender<Result<(Driver, ThreadId), StartError>>,
}

impl Handler<Run> for StateManager {
    type Result = MessageResult<Run>;

    /// The core is in this frame, outside the part that a panic unwinds: after a panic the same
    /// thread (which a ring is bound to) continues with the same pipes, log and sequence.
    fn handle(&mut self, run: Run, _: &mut Self::Context) -> Self::Result {
        let driver = match pipes::choose(run.driver) {
            Ok((kind, driver)) => {
                // Cannot fail: the policy waits for this message.
                let _ = run.ready.send(Ok((kind, ThreadId::current())));
                driver
            }
            Err(error) => {
                let reason = PolicyStopped::DriverFailed(error.to_string());
                let _ = run.ready.send(Err(error));
                return MessageResult(reason);
            }
        };
        let mut core = Core::new(run.link, driver);
        let mut restarts = Restarts::new(run.intensity);
        let reason = loop {
            match catch_unwind(AssertUnwindSafe(|| core.run())) {
                Ok(reason) => break reason,
                Err(panic) => {
                    let message = message_of(&*panic);
                    dispose(panic);
                    match restart(&mut core, &mut restarts, message) {
                        Ok(()) => {}
                        Err(reason) => break reason,
                    }
                }
            }
        };
        // `finish` must not panic. If it does, the thread ends and the policy is notified.
        core.finish(&reason);
        MessageResult(reason)
    }
}

/// Backs off, or returns the reason to stop.
fn restart(core: &mut Core, restarts: &mut Restarts, message: String) -> Result<(), PolicyStopped> {
    let back_off = judge(restarts, Part::ReadLoop, &message)?;
    thread::sleep(back_off);
    core.publisher().restarted(Part::ReadLoop, message);
    Ok(())
}
