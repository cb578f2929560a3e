//! The read loop's table of children: their pipe contexts and their audience.

use std::{os::fd::OwnedFd, sync::Arc};

use actix::Recipient;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{child_state::ChildState, deliver::Audience};
use crate::{
    ChildId, Seq, Stream,
    child::{ChildCell, CollectedOutput, Collector},
    log::ChildExited,
    pipes::{PipeDriver, PipeKind, PipeToken},
    waiting::{ChildSlot, Released},
};

/// One child.
#[derive(Debug)]
pub(super) struct ChildEntry {
    pub(super) cell: Arc<ChildCell>,
    /// What its waiter owns it by, until its exit.
    pub(super) slot: Option<Arc<ChildSlot>>,
    pub(super) state: ChildState,
    /// The output pipes that are open.
    pub(super) outputs: SmallVec<[(Stream, PipeToken); 2]>,
    /// The shared contexts that it writes to.
    pub(super) shared: SmallVec<[ChildId; 1]>,
    /// The child's side of its terminal, until its exit.
    pub(super) terminal: Option<OwnedFd>,
    pub(super) status: Option<PipeToken>,
    pub(super) input: Option<PipeToken>,
    /// Those of them that the user has paused.
    pub(super) paused: Box<[Stream]>,
    /// The child has used up its share of the log: none of them is read.
    pub(super) share_is_full: bool,
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
    /// One without any pipe yet.
    pub(super) fn new(
        cell: Arc<ChildCell>,
        state: ChildState,
        last_seq: Seq,
        span: tracing::Span,
    ) -> Self {
        ChildEntry {
            cell,
            slot: None,
            state,
            outputs: SmallVec::new(),
            shared: SmallVec::new(),
            terminal: None,
            status: None,
            input: None,
            paused: Box::default(),
            share_is_full: false,
            writing: false,
            last_seq,
            output_bytes: 0,
            exits: Audience::default(),
            collectors: Vec::new(),
            released_to: None,
            span,
        }
    }

    /// The pipe context of a kind, while its pipe is open.
    pub(super) fn pipe(&self, kind: PipeKind) -> Option<PipeToken> {
        match kind {
            PipeKind::Output(stream) => {
                let mut outputs = self.outputs.iter();
                outputs.find(|(of, _)| *of == stream).map(|(_, token)| *token)
            }
            PipeKind::Status => self.status,
            PipeKind::Input => self.input,
        }
    }

    /// Has each of its outputs read or not, as everyone wants.
    pub(super) fn follow_pauses(&self, driver: &mut dyn PipeDriver) {
        for (stream, token) in &self.outputs {
            if self.share_is_full || self.paused.contains(stream) {
                driver.pause(*token);
            } else {
                driver.resume(*token);
            }
        }
    }

    /// The streams whose pipes are open.
    pub(super) fn streams(&self) -> SmallVec<[Stream; 2]> {
        self.outputs.iter().map(|(stream, _)| *stream).collect()
    }
}
