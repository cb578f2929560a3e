//! The ends: of a pipe, of a child, and of all that holds a child's pipes.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    child_state::Event,
    core::{Core, next_seq},
    drain::drain,
    publish::Notice,
};
use crate::{
    ChildId, Stream,
    log::{Exit, Fact},
    pipes::PipeKind,
    waiting::ExitRecord,
};

impl Core {
    pub(super) fn ended(&mut self, child: ChildId, stream: Stream) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        let open = entry.outputs.len();
        entry.outputs.retain(|pipe| pipe.stream != stream);
        if entry.outputs.len() == open {
            // It was hung up before.
            return;
        }
        let outcome = entry.state.on(Event::PipeEnded);
        if outcome.closed {
            self.closed(child);
        } else if entry.outputs.is_empty() {
            self.dying = Some((child, Instant::now()));
        }
    }

    /// Drains what the child's pipes hold, and then states its exit.
    pub(super) fn exited(&mut self, record: ExitRecord) {
        let child = record.child;
        self.let_go_of_terminal(child);
        self.drain_all(child);
        let extras = self.children.get_mut(&child).and_then(|entry| entry.extras.as_mut());
        let shared = extras.map(|extras| std::mem::take(&mut extras.shared));
        shared.unwrap_or_default().into_iter().for_each(|context| self.drain_all(context));
        let Some(entry) = self.children.get_mut(&child) else { return };
        // A paused stream has nobody to hold back any more, and is to come to its end.
        entry.outputs.iter_mut().for_each(|pipe| pipe.paused = false);
        entry.follow_pauses(&mut *self.driver);
        if let Some(token) = entry.status.take() {
            self.driver.remove(token);
        }
        let outcome = entry.state.on(Event::ExitRecorded);
        if !outcome.exited {
            return;
        }
        let seq = next_seq(&self.staged, &self.link);
        let exit = crate::ChildExited::from(Exit {
            child,
            pid: entry.cell.pid,
            program: Arc::clone(&entry.cell.program),
            status: record.status,
            usage: record.usage,
            wall_time: record.wall_time,
            output_bytes: entry.output_bytes,
            last_seq: entry.last_seq,
            seq,
        });
        self.dying = None;
        entry.last_seq = seq;
        entry.in_span(|| tracing::debug!(status = %exit.status, "exited"));
        let cell = Arc::clone(&entry.cell);
        let (awaited, slot) = (entry.awaited.take(), entry.slot.take());
        self.stage(child, Fact::Exited(exit.clone()));
        self.publisher.notice(Notice::Exited { exit, cell, awaited, slot });
        if outcome.closed {
            self.closed(child);
        }
    }

    /// Takes what the child's pipes hold now.
    pub(super) fn drain_all(&mut self, child: ChildId) {
        let streams = self.children.get(&child).map(|entry| entry.streams());
        for stream in streams.unwrap_or_default() {
            for (writer, bytes) in self.rest(child, PipeKind::Output(stream)) {
                self.chunk(child, stream, writer, bytes);
            }
        }
    }

    /// What a pipe holds now.
    pub(super) fn rest(&mut self, child: ChildId, kind: PipeKind) -> Vec<(Option<i32>, Bytes)> {
        let mut chunks = Vec::new();
        let token = self.children.get(&child).and_then(|entry| entry.pipe(kind));
        let mut keep = |writer, bytes| chunks.push((writer, bytes));
        if let Some(end) = token.and_then(|token| self.driver.pipe(token))
            && let Err(error) = drain(end, &mut self.gather, &mut keep)
        {
            tracing::error!(%child, ?kind, %error, "a pipe cannot be drained");
        }
        chunks
    }

    fn closed(&mut self, child: ChildId) {
        let seq = self.stage(child, Fact::Closed);
        self.end_input(child, Some(libc::EPIPE));
        let entry = self.children.remove(&child);
        if let Some(entry) = &entry {
            entry.cell.closed.set(seq);
        }
        let released_to = entry.and_then(|entry| entry.extras?.released_to);
        self.publisher.notice(Notice::Fact(seq, child, Fact::Closed));
        self.publisher.notice(Notice::Released(child, released_to));
    }
}
