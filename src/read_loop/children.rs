//! The read loop's table of children: their pipe contexts and their audience.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Extras, child_state::ChildState, deliver::Recipients};
use crate::{
    ChildExited, Seq, Source,
    cell::ChildCell,
    pipes::{PipeDriver, PipeKind, PipeToken},
    process::Process,
    restart::trace::ChildSpan,
    types::ExitRecord,
};

/// One child.
#[derive(Debug)]
pub(super) struct ChildEntry {
    pub(super) cell: Arc<ChildCell>,
    /// What its waiter owns it by, until its exit.
    pub(super) process: Option<Arc<Process>>,
    pub(super) state: ChildState,
    /// The output pipes that are open.
    pub(super) outputs: SmallVec<[OutputPipe; 2]>,
    pub(super) status: Option<PipeToken>,
    pub(super) input: Option<PipeToken>,
    /// The child has used up its share of the log: none of its outputs is read.
    pub(super) quota_is_full: bool,
    /// The driver has a buffer of the input in hand.
    pub(super) writing: bool,
    /// Its exit is on its way into the log, or there.
    exit_is_known: bool,
    /// Its last fact in the log.
    pub(super) last_seq: Seq,
    /// How many bytes of it went into the log before its exit.
    pub(super) output_bytes: u64,
    /// Where somebody waits for this child alone.
    pub(super) awaited: Option<Box<ExitListeners>>,
    pub(super) extras: Option<Box<Extras>>,
    pub(super) span: ChildSpan,
}

/// Who waits for one child.
#[derive(Debug, Default)]
pub(super) struct ExitListeners {
    /// Who hears of its exit.
    pub(super) exits: Recipients<ChildExited>,
}

/// An output pipe that is open.
#[derive(Debug)]
pub(super) struct OutputPipe {
    pub(super) stream: Source,
    token: PipeToken,
    /// The user does not want it to be read.
    pub(super) paused: bool,
}

impl OutputPipe {
    pub(super) fn new(stream: Source, token: PipeToken) -> Self {
        OutputPipe { stream, token, paused: false }
    }
}

impl ChildEntry {
    /// One without any pipe yet.
    pub(super) fn new(
        cell: Arc<ChildCell>,
        state: ChildState,
        last_seq: Seq,
        span: ChildSpan,
    ) -> Self {
        ChildEntry {
            cell,
            process: None,
            state,
            outputs: SmallVec::new(),
            status: None,
            input: None,
            quota_is_full: false,
            writing: false,
            exit_is_known: false,
            last_seq,
            output_bytes: 0,
            awaited: None,
            extras: None,
            span,
        }
    }

    /// Who waits for it.
    pub(super) fn awaited(&mut self) -> &mut ExitListeners {
        self.awaited.get_or_insert_default()
    }

    /// What its process knows of its exit, once.
    pub(super) fn take_record(&mut self) -> Option<ExitRecord> {
        if self.exit_is_known {
            return None;
        }
        let record = self.process.as_ref()?.record();
        self.exit_is_known = record.is_some();
        record
    }

    /// The pipe context of a kind, while its pipe is open.
    pub(super) fn pipe(&self, kind: PipeKind) -> Option<PipeToken> {
        match kind {
            PipeKind::Output(stream) => {
                let mut outputs = self.outputs.iter();
                outputs.find(|pipe| pipe.stream == stream).map(|pipe| pipe.token)
            }
            PipeKind::Status => self.status,
            PipeKind::Input => self.input,
        }
    }

    /// Another driver reads this output from now on.
    pub(super) fn replace_output(&mut self, stream: Source, token: PipeToken) {
        for pipe in self.outputs.iter_mut().filter(|pipe| pipe.stream == stream) {
            pipe.token = token;
        }
    }

    /// Has each of its outputs read or not, as everyone wants.
    pub(super) fn follow_pauses(&self, driver: &mut dyn PipeDriver) {
        for pipe in &self.outputs {
            if self.quota_is_full || pipe.paused {
                driver.pause(pipe.token);
            } else {
                driver.resume(pipe.token);
            }
        }
    }

    /// The streams whose pipes are open.
    pub(super) fn streams(&self) -> SmallVec<[Source; 2]> {
        self.outputs.iter().map(|pipe| pipe.stream).collect()
    }
}
