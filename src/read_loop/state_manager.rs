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

/// The arbiter of pipes. It has no state of its own: a panic could not take it along.
#[derive(Debug)]
pub(crate) struct StateManager {
    /// Tells its holder when the thread has let go of the actor: nobody can join that thread.
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
    /// Told once whether the driver works, and on which thread.
    pub(crate) ready: oneshot::Sender<Result<(Driver, ThreadId), StartError>>,
}

impl Handler<Run> for StateManager {
    type Result = MessageResult<Run>;

    /// The core lives in this frame, outside what a panic unwinds: after one, the same thread
    /// (which a ring is bound to) goes on with the same pipes, log and sequence.
    fn handle(&mut self, run: Run, _: &mut Self::Context) -> Self::Result {
        let driver = match pipes::choose(run.driver) {
            Ok((kind, driver)) => {
                // The policy waits for this word until it is there.
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
        // The last words must not panic; should they, the thread ends and the policy is told.
        core.finish(&reason);
        MessageResult(reason)
    }
}

/// Backs off, or gives the reason to give up.
fn restart(core: &mut Core, restarts: &mut Restarts, message: String) -> Result<(), PolicyStopped> {
    let back_off = judge(restarts, Part::ReadLoop, &message)?;
    thread::sleep(back_off);
    core.publisher().restarted(Part::ReadLoop, message);
    Ok(())
}
