//! The read loop's table of children: their pipe contexts and their exit listeners.

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
    /// The child's process, until its exit.
    pub(super) process: Option<Arc<Process>>,
    pub(super) state: ChildState,
    /// The output pipes that are open.
    pub(super) outputs: SmallVec<[OutputPipe; 2]>,
    pub(super) status: Option<PipeToken>,
    pub(super) input: Option<PipeToken>,
    /// The child's quota of the log is full: none of its outputs is read.
    pub(super) quota_is_full: bool,
    /// The driver is writing a buffer of the input.
    pub(super) writing: bool,
    /// Its exit is in the log, or about to be.
    exit_is_known: bool,
    /// Its last fact in the log.
    pub(super) last_seq: Seq,
    /// How many bytes of its output went into the log before its exit.
    pub(super) output_bytes: u64,
    /// Set if anything waits for this child alone.
    pub(super) awaited: Option<Box<ExitListeners>>,
    pub(super) extras: Option<Box<Extras>>,
    pub(super) span: ChildSpan,
}

/// The recipients that wait for one child.
#[derive(Debug, Default)]
pub(super) struct ExitListeners {
    /// The recipients of its exit.
    pub(super) exits: Recipients<ChildExited>,
}

/// An open output pipe.
#[derive(Debug)]
pub(super) struct OutputPipe {
    pub(super) stream: Source,
    token: PipeToken,
    /// The user has paused its reading.
    pub(super) paused: bool,
}

impl OutputPipe {
    pub(super) fn new(stream: Source, token: PipeToken) -> Self {
        OutputPipe { stream, token, paused: false }
    }
}

impl ChildEntry {
    /// A child without any pipe yet.
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

    /// Returns its exit listeners; creates them if there are none.
    pub(super) fn awaited(&mut self) -> &mut ExitListeners {
        self.awaited.get_or_insert_default()
    }

    /// Takes its process's exit record, once.
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

    /// From now on another driver reads this output.
    pub(super) fn replace_output(&mut self, stream: Source, token: PipeToken) {
        for pipe in self.outputs.iter_mut().filter(|pipe| pipe.stream == stream) {
            pipe.token = token;
        }
    }

    /// Pauses or resumes each output, as the user and the quota require.
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
