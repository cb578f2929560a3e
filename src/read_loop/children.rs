//! The read loop's table of children: their pipe contexts and their audience.

use std::sync::Arc;

use actix::Recipient;
use tokio::sync::oneshot;

use super::{child_state::ChildState, deliver::Audience};
use crate::{
    Seq, Stream,
    child::{ChildCell, CollectedOutput, Collector},
    log::ChildExited,
    pipes::{PipeKind, PipeToken},
    waiting::Released,
};

/// One child.
#[derive(Debug)]
pub(super) struct ChildEntry {
    pub(super) cell: Arc<ChildCell>,
    pub(super) state: ChildState,
    pub(super) stdout: Option<PipeToken>,
    pub(super) stderr: Option<PipeToken>,
    pub(super) status: Option<PipeToken>,
    pub(super) input: Option<PipeToken>,
    /// The driver has a buffer of the input in hand.
    pub(super) writing: bool,
    /// Its last fact in the log.
    pub(super) last_seq: Seq,
    /// How many bytes of it went into the log before its exit.
    pub(super) output_bytes: u64,
    /// Who hears of this child's exit alone.
    pub(super) exits: Audience<ChildExited>,
    /// Who waits for its whole output.
    pub(super) collectors: Vec<(Collector, oneshot::Sender<CollectedOutput>)>,
    pub(super) released_to: Option<Recipient<Released>>,
    pub(super) span: tracing::Span,
}

impl ChildEntry {
    /// The pipe context of a kind, while its pipe is open.
    pub(super) fn pipe(&mut self, kind: PipeKind) -> &mut Option<PipeToken> {
        match kind {
            PipeKind::Output(Stream::Stdout) => &mut self.stdout,
            PipeKind::Output(Stream::Stderr) => &mut self.stderr,
            PipeKind::Status => &mut self.status,
            PipeKind::Input => &mut self.input,
        }
    }
}
