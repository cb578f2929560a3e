//! `ChildCell`: what stays known of a child for as long as anyone holds its handle.

use std::sync::{Arc, OnceLock};

use tokio::sync::SetOnce;

use crate::{ChildId, PolicyStopped, Seq, input::InputQueue, log::ChildExited};

/// A child's identity and its sticky status, set once by the read loop.
#[derive(Debug)]
pub(crate) struct ChildCell {
    pub(crate) id: ChildId,
    pub(crate) pid: i32,
    pub(crate) program: Arc<str>,
    /// What is to be written to its standard input, where that is a pipe.
    pub(crate) input: Option<Arc<InputQueue>>,
    /// The places of its spawn and of its close in the log, once they have one.
    pub(crate) spawned: OnceLock<Seq>,
    pub(crate) closed: OnceLock<Seq>,
    /// The reason is boxed: it is large, and hardly ever there.
    exit: SetOnce<Result<ChildExited, Box<PolicyStopped>>>,
}

impl ChildCell {
    pub(crate) fn new(
        id: ChildId,
        pid: i32,
        program: Arc<str>,
        input: Option<InputQueue>,
    ) -> Arc<Self> {
        let input = input.map(Arc::new);
        let (spawned, closed) = (OnceLock::new(), OnceLock::new());
        Arc::new(ChildCell { id, pid, program, input, spawned, closed, exit: SetOnce::new() })
    }

    /// Settles the status; whatever comes second is ignored.
    pub(crate) fn settle(&self, exit: Result<ChildExited, PolicyStopped>) {
        let _ = self.exit.set(exit.map_err(Box::new));
    }

    pub(crate) fn exit(&self) -> Option<Result<ChildExited, PolicyStopped>> {
        self.exit.get().map(unboxed)
    }

    pub(crate) async fn wait(&self) -> Result<ChildExited, PolicyStopped> {
        unboxed(self.exit.wait().await)
    }
}

fn unboxed(exit: &Result<ChildExited, Box<PolicyStopped>>) -> Result<ChildExited, PolicyStopped> {
    exit.clone().map_err(|reason| *reason)
}
