//! `Lifecycle`: the events that a lifecycle subscriber receives.

use std::sync::Arc;

use crate::{ChildExited, ChildId, PolicyStopped, Seq, log::spill::SpillError, types::Part};

/// Something in the life of a child or of the policy. Never dropped, whatever the subscriber's
/// mailbox holds.
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
        /// The fact's place in the log.
        seq: Seq,
    },
    /// A child has ended; all that it wrote itself is in the log.
    Exited(ChildExited),
    /// All pipes of a child that has ended are at their end.
    Closed {
        /// The child.
        child: ChildId,
        /// The fact's place in the log.
        seq: Seq,
    },
    /// A part of the policy panicked and was restarted; no child, byte or exit was lost by it.
    Restarted {
        /// The part.
        part: Part,
        /// The panic's message.
        message: String,
    },
    /// Nothing more can go to files: [`Overflow::Block`](crate::Overflow::Block) is in force instead
    /// of [`Overflow::Spill`](crate::Overflow::Spill). What went to files before still comes back.
    /// Told to those who subscribe later, too.
    SpillFailed(Arc<SpillError>),
    /// The policy has stopped; the last event of all.
    Stopped(PolicyStopped),
}
