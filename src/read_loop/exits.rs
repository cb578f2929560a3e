//! The ends: of a pipe, of a child, and of all pipes of a child.

use std::{sync::Arc, time::Instant};

use super::{
    child_state::Event,
    children::ChildEntry,
    core::{Core, next_seq},
    drain::drain,
    publish::Notification,
};
use crate::{
    ChildExited, ChildId, ExitStatus, Source,
    log::Fact,
    pipes::{Completion, PipeEvent, PipeKey, PipeKind},
    restart::{fault_point, trace},
    types::{Exit, ExitRecord},
};

impl Core {
    pub(super) fn ended(&mut self, child: ChildId, stream: Source) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        let open = entry.outputs.len();
        entry.outputs.retain(|pipe| pipe.stream != stream);
        if entry.outputs.len() == open {
            // The terminal was already hung up.
            return;
        }
        let outcome = entry.state.on(Event::PipeEnded);
        if outcome.closed {
            self.closed(child);
        } else if entry.outputs.is_empty() {
            self.ending = Some((child, Instant::now()));
        }
    }

    /// Drains the child's pipes, then stages its exit. The exit stays the first of `records` until
    /// then.
    pub(super) fn exited(&mut self, record: ExitRecord) {
        let child = record.child;
        fault_point!(LoopBeforeDrain);
        self.let_go_of_terminal(child);
        self.drain_all(child);
        let extras = self.children.get(&child).and_then(|entry| entry.extras.as_ref());
        let shared = extras.map(|extras| extras.shared.clone()).unwrap_or_default();
        shared.into_iter().for_each(|context| self.drain_all(context));
        fault_point!(LoopAfterDrain);
        self.take_found();
        fault_point!(LoopBeforeExit);
        self.records.pop_front();
        let Some(entry) = self.children.get_mut(&child) else { return };
        let outcome = entry.state.on(Event::ExitRecorded);
        if !outcome.exited {
            return;
        }
        // A pause no longer holds a child back, and the stream must reach its end.
        entry.outputs.iter_mut().for_each(|pipe| pipe.paused = false);
        entry.follow_pauses(&mut *self.driver);
        if let Some(token) = entry.status.take() {
            self.driver.remove(token);
        }
        let seq = next_seq(&self.staged, &self.link);
        let exit = ChildExited::from(Exit {
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
        self.ending = None;
        entry.last_seq = seq;
        let cell = Arc::clone(&entry.cell);
        let (awaited, process) = (entry.awaited.take(), entry.process.take());
        self.stage(child, Fact::Exited(exit.clone()));
        self.publisher.notice(Notification::Exited { exit: exit.clone(), cell, awaited, process });
        if let Some(entry) = self.children.get(&child) {
            tell_exit(entry, &exit);
        }
        if outcome.closed {
            self.closed(child);
        }
    }

    /// Finds the bytes that the child's pipes hold now.
    pub(super) fn drain_all(&mut self, child: ChildId) {
        let streams = self.children.get(&child).map(|entry| entry.streams());
        for stream in streams.unwrap_or_default() {
            let kind = PipeKind::Output(stream);
            let token = self.children.get(&child).and_then(|entry| entry.pipe(kind));
            let Some(end) = token.and_then(|token| self.driver.pipe(token)) else { continue };
            let key = PipeKey { child, kind };
            let mut keep = |writer, bytes| {
                self.found.push_back(Completion { key, what: PipeEvent::From(writer, bytes) });
            };
            if let Err(error) = drain(end, &mut self.coalescer, &mut keep) {
                trace::error!(%child, ?stream, %error, "a pipe cannot be drained");
            }
        }
    }

    fn closed(&mut self, child: ChildId) {
        let seq = self.stage(child, Fact::Closed);
        self.publisher.notice(Notification::Fact(seq, child, Fact::Closed));
        self.end_input(child, Some(libc::EPIPE));
        if let Some(entry) = self.children.remove(&child) {
            entry.cell.closed.set(Ok(seq));
        }
    }
}

fn tell_exit(entry: &ChildEntry, exit: &ChildExited) {
    if exit.status == ExitStatus::Lost {
        trace::warn!(
            child = %exit.child, pid = exit.pid, program = %exit.program,
            "the child ended and its status is lost: something else in this program waited for \
             it, or SIGCHLD is ignored",
        );
    }
    entry.span.tell(|| match exit.status.success() {
        true => trace::debug!(status = %exit.status, "exited"),
        false => trace::info!(status = %exit.status, "exited"),
    });
}
