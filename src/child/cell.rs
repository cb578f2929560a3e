//! `ChildCell`: what stays known of a child for as long as anyone holds its handle.

use std::sync::Arc;

use tokio::sync::SetOnce;

use crate::{ChildId, PolicyStopped, log::ChildExited};

/// A child's identity and its sticky status, set once by the read loop.
#[derive(Debug)]
pub(crate) struct ChildCell {
    pub(crate) id: ChildId,
    pub(crate) pid: i32,
    pub(crate) program: Arc<str>,
    exit: SetOnce<Result<ChildExited, PolicyStopped>>,
}

impl ChildCell {
    pub(crate) fn new(id: ChildId, pid: i32, program: Arc<str>) -> Arc<Self> {
        Arc::new(ChildCell { id, pid, program, exit: SetOnce::new() })
    }

    /// Settles the status; whatever comes second is ignored.
    pub(crate) fn settle(&self, exit: Result<ChildExited, PolicyStopped>) {
        let _ = self.exit.set(exit);
    }

    pub(crate) fn exit(&self) -> Option<Result<ChildExited, PolicyStopped>> {
        self.exit.get().cloned()
    }

    pub(crate) async fn wait(&self) -> Result<ChildExited, PolicyStopped> {
        self.exit.wait().await.clone()
    }
}
