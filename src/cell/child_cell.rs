//! `ChildCell`: what stays known of a child as long as a handle to it exists.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use crate::{ChildExited, ChildId, PolicyStopped, Seq, cell::InputQueue, restart::Sticky};

/// A log position that becomes known later.
#[derive(Debug)]
pub(crate) struct LatePlace(AtomicU64);

impl LatePlace {
    /// No entry ever has this number.
    const UNKNOWN: u64 = u64::MAX;

    fn unknown() -> Self {
        LatePlace(AtomicU64::new(Self::UNKNOWN))
    }

    pub(crate) fn set(&self, seq: Seq) {
        self.0.store(seq.0, SeqCst);
    }

    pub(crate) fn get(&self) -> Option<Seq> {
        let number = self.0.load(SeqCst);
        (number != Self::UNKNOWN).then_some(Seq(number))
    }
}

/// A child's identity and its sticky status, set once by the read loop.
pub(crate) struct ChildCell {
    pub(crate) id: ChildId,
    pub(crate) pid: i32,
    pub(crate) program: Arc<str>,
    /// The queue of its standard input, if that is a pipe or a terminal.
    pub(crate) input: Option<Arc<InputQueue>>,
    /// The log position of its spawn.
    pub(crate) spawned: LatePlace,
    /// The log position of its close, or why there is none. Boxed because it is large.
    pub(crate) closed: Sticky<Result<Seq, Box<PolicyStopped>>>,
    /// The reason is boxed because it is large and rare.
    exit: Sticky<Result<ChildExited, Box<PolicyStopped>>>,
}

impl ChildCell {
    pub(crate) fn new(
        id: ChildId,
        pid: i32,
        program: Arc<str>,
        input: Option<InputQueue>,
    ) -> Arc<Self> {
        let input = input.map(Arc::new);
        let (spawned, closed) = (LatePlace::unknown(), Sticky::new());
        Arc::new(ChildCell { id, pid, program, input, spawned, closed, exit: Sticky::new() })
    }

    /// Sets the status once; a later status is ignored.
    pub(crate) fn settle(&self, exit: Result<ChildExited, PolicyStopped>) {
        if let Err(reason) = &exit {
            self.closed.set(Err(Box::new(reason.clone())));
        }
        self.exit.set(exit.map_err(Box::new));
    }

    pub(crate) fn exit(&self) -> Option<Result<ChildExited, PolicyStopped>> {
        self.exit.get().map(unboxed)
    }

    pub(crate) async fn wait(&self) -> Result<ChildExited, PolicyStopped> {
        unboxed(self.exit.wait().await)
    }
}

/// Shows the child's name, and never its input or output.
impl fmt::Debug for ChildCell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ChildCell")
            .field("id", &self.id)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

fn unboxed(exit: &Result<ChildExited, Box<PolicyStopped>>) -> Result<ChildExited, PolicyStopped> {
    exit.clone().map_err(|reason| *reason)
}
