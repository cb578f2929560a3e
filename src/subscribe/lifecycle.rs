//! `Lifecycle`: the events that a lifecycle subscriber receives.

use std::sync::Arc;

use crate::{ChildExited, ChildId, PolicyStopped, Seq, log::spill::SpillError, types::Part};

/// An event in the life of a child or of the policy. Never dropped, even if the subscriber's
/// mailbox is full.
#[derive(Clone, Debug, actix::Message)]
#[rtype(result = "()")]
#[non_exhaustive]
pub enum Lifecycle {
    /// A child was spawned.
    Spawned {
        /// The child.
        child: ChildId,
        /// Its process id, for display only.
        pid: i32,
        /// The program as the command named it.
        program: Arc<str>,
        /// The fact's sequence number in the log.
        seq: Seq,
    },
    /// A child has ended; everything that it wrote itself is in the log.
    Exited(ChildExited),
    /// All pipes of a child that has ended are at their end.
    Closed {
        /// The child.
        child: ChildId,
        /// The fact's sequence number in the log.
        seq: Seq,
    },
    /// A part of the policy panicked and was restarted. No child, byte or exit was lost.
    Restarted {
        /// The part.
        part: Part,
        /// The panic's message.
        message: String,
    },
    /// Nothing more can be written to files: [`Overflow::Block`](crate::Overflow::Block) is now in
    /// force instead of [`Overflow::Spill`](crate::Overflow::Spill). Earlier spilled entries can
    /// still be read. Later subscribers receive this event too.
    SpillFailed(Arc<SpillError>),
    /// The policy has stopped; always the last event.
    Stopped(PolicyStopped),
}
