//! `Core`: the read loop's data, outside the actor and out of reach of its panics.
//!
//! A turn takes commands, reads, drains the pipes of ended children, appends to the log, and
//! notifies the subscribers. Work stays in its queue until its result is in the next queue, and no
//! code that may panic runs between the two: foreign code is contained and runs after the
//! bookkeeping. So the next turn completes a turn that a panic interrupted.

use std::{
    collections::VecDeque,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use super::{
    LoopCommand, Mailbox, Registration,
    child_state::{ChildState, Phase},
    children::{ChildEntry, OutputPipe},
    held_up::HeldUp,
    publish::{Notification, Publisher},
};
use crate::{
    ChildId, PolicyStopped, Seq, Source,
    cell::ChildCell,
    log::{Chunk, Entry, Fact},
    pipes::{
        Coalescer, Completion, Held, PipeDriver, PipeEnd, PipeEvent, PipeKey, PipeKind,
        READ_BUFFER_LEN,
    },
    restart::{
        contain, dispose, drop_contained, fault_point, message_of,
        trace::{self, ChildSpan},
    },
    types::{ExitRecord, Turn},
};
use bytes::Bytes;
use rustc_hash::FxHashMap;

/// The next sequence number: it follows the staged entries, which follow the log's.
pub(super) fn next_seq(staged: &[Entry], link: &Mailbox) -> Seq {
    staged.last().map_or_else(|| link.log().end(), |entry| entry.seq.next())
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) link: Arc<Mailbox>,
    pub(super) driver: Box<dyn PipeDriver>,
    /// Boxed: the table has up to twice as many places as children.
    pub(super) children: FxHashMap<ChildId, Box<ChildEntry>>,
    pub(super) publisher: Publisher,
    commands: VecDeque<LoopCommand>,
    pub(super) found: VecDeque<Completion>,
    /// Pipes that a failed driver gave up, until the next driver has them.
    pub(super) held: VecDeque<Held>,
    /// Exits of children whose output must still be drained.
    pub(super) records: VecDeque<ExitRecord>,
    /// Entries of this turn that are not yet in the log.
    pub(super) staged: Vec<Entry>,
    turn: Turn,
    pub(super) coalescer: Coalescer<Option<i32>>,
    /// The slowest lossless reader is a whole log behind.
    pub(super) held_up: Option<HeldUp>,
    /// The running child that last closed its last pipe, and when.
    pub(super) ending: Option<(ChildId, Instant)>,
    /// The child that the loop reaped itself. Its exit is staged after the next read, which finds
    /// the bytes already taken from its pipes.
    pub(super) reaped: Option<ChildId>,
}

/// With less room than this, some pipe waits for the slowest reader: a driver reads whole buffers.
const LEAST_ROOM: u64 = 2 * READ_BUFFER_LEN as u64;

/// How often the end is retried if it panics.
const LAST_TRIES: usize = 3;

impl Core {
    pub(super) fn new(link: Arc<Mailbox>, driver: Box<dyn PipeDriver>) -> Self {
        link.attach(driver.waker(), driver.needs_poll_soon());
        Core {
            publisher: Publisher::new(Arc::clone(&link)),
            link,
            driver,
            children: FxHashMap::default(),
            commands: VecDeque::new(),
            found: VecDeque::new(),
            held: VecDeque::new(),
            records: VecDeque::new(),
            staged: Vec::new(),
            turn: Turn(0),
            coalescer: Coalescer::new(),
            held_up: None,
            ending: None,
            reaped: None,
        }
    }

    pub(super) fn publisher(&mut self) -> &mut Publisher {
        &mut self.publisher
    }

    /// Runs turns until a command ends the loop, and returns the reason.
    pub(super) fn run(&mut self) -> PolicyStopped {
        // A panic during a read can leave completions behind, with bytes that come before an exit
        // that is already known.
        if let Err(error) = self.read(false) {
            return PolicyStopped::DriverFailed(error.to_string());
        }
        loop {
            self.link.run();
            // First finish what a panic may have interrupted: commands rely on it.
            self.settle();
            self.link.take(&mut self.commands);
            let quiet = self.commands.is_empty() && !self.publisher.has_more();
            while !self.commands.is_empty() {
                fault_point!(LoopBeforeCommand);
                if let Some(reason) = self.commands.pop_front().and_then(|it| self.apply(it)) {
                    return reason;
                }
            }
            fault_point!(LoopBeforeTurn);
            if let Err(error) = self.turn(quiet) {
                return PolicyStopped::DriverFailed(error.to_string());
            }
        }
    }

    /// Reads, and sleeps until there is something to read. Does not sleep right after a command:
    /// the next `settle` completes its effects (a delivery, say).
    fn turn(&mut self, quiet: bool) -> io::Result<()> {
        let near = quiet && self.exit_is_near();
        let sleep = quiet && !near && self.link.may_sleep();
        self.read(sleep)?;
        fault_point!(LoopAfterRead);
        Ok(())
    }

    fn read(&mut self, sleep: bool) -> io::Result<()> {
        self.take_over();
        let room = self.room();
        let read = self.driver.turn(sleep, room, &mut self.found);
        read.or_else(|error| self.hand_over(error))?;
        if let Some(entry) = self.reaped.take().and_then(|child| self.children.get_mut(&child)) {
            self.records.extend(entry.take_record());
        }
        Ok(())
    }

    /// Moves what was read into the log, and notifies the subscribers.
    fn settle(&mut self) {
        self.take_found();
        // Every byte that was read is staged now, so the rest of an ended child's output is still
        // in its pipes.
        while let Some(&record) = self.records.front() {
            self.exited(record);
        }
        fault_point!(LoopBeforeAppend);
        self.append();
        fault_point!(LoopBeforePublish);
        self.publisher.publish();
    }

    /// Stages all completions.
    pub(super) fn take_found(&mut self) {
        while !self.found.is_empty() {
            fault_point!(LoopBeforeTake);
            if let Some(found) = self.found.pop_front() {
                self.take(found);
            }
        }
    }

    /// Pauses the children whose quota is full, and resumes those whose quota is not.
    fn follow_quotas(&mut self) {
        let changes = self.link.log().quota_changes();
        for (child, full) in changes {
            if let Some(entry) = self.children.get_mut(&child) {
                entry.quota_is_full = full;
                entry.follow_pauses(&mut *self.driver);
                entry.span.tell(|| trace::debug!(full, "its share of the log"));
            }
        }
    }

    fn append(&mut self) {
        if !self.staged.is_empty() {
            self.turn = Turn(self.turn.0 + 1);
            self.link.log().append(mem::take(&mut self.staged));
        }
    }

    /// How many bytes of output this turn may read.
    fn room(&mut self) -> u64 {
        let (room, quotas_wait) = {
            let log = self.link.log();
            (log.room(), log.quotas_wait())
        };
        let paused = room < LEAST_ROOM;
        self.note_pause(paused);
        if !self.link.shared_log().wait_for_room(paused || quotas_wait) {
            return room;
        }
        // Look again: a reader may have moved on before it could see the flag.
        self.follow_quotas();
        self.link.log().room()
    }

    fn apply(&mut self, command: LoopCommand) -> Option<PolicyStopped> {
        match command {
            LoopCommand::Register(registration) => self.register(*registration),
            LoopCommand::PollSoon(child) => {
                if let Some(token) = self.children.get(&child).and_then(|entry| entry.status) {
                    self.driver.poll_soon(token);
                }
            }
            LoopCommand::Share(context, pipe) => self.share(context, pipe),
            LoopCommand::Input(child) => self.feed(child),
            LoopCommand::Reading { child, stream, paused } => self.reading(child, stream, paused),
            LoopCommand::Terminal(child, action, reply) => {
                let done = self.terminal(child, action);
                // The caller may be gone; if not, its waker is foreign code.
                contain("the waker of a caller", || drop(reply.send(done)));
            }
            LoopCommand::Subscribe(id, subscribe) => {
                let child = subscribe.child.clone();
                let entry = child.as_ref().and_then(|cell| self.children.get_mut(&cell.id));
                self.publisher.subscribe(id, subscribe, entry.map(|entry| &mut **entry));
            }
            LoopCommand::Unsubscribe(id) => {
                self.publisher.unsubscribe(id);
                for entry in self.children.values_mut() {
                    if let Some(awaited) = &mut entry.awaited {
                        awaited.exits.remove(id);
                    }
                }
            }
            LoopCommand::SpillFailed(error) => self.publisher.spill_failed(error),
            LoopCommand::Restarted(part, message) => self.publisher.restarted(part, message),
            LoopCommand::Finish(reason) => return Some(reason),
        }
        None
    }

    fn register(&mut self, registration: Registration) {
        let Registration { cell, process, stdin, outputs, share, status, exit_to, extras, span } =
            registration;
        let child = cell.id;
        if let Some(share) = share {
            self.link.log().set_quota(child, share);
        }
        let fact = Fact::Spawned { pid: cell.pid, program: Arc::clone(&cell.program) };
        let seq = self.stage(child, fact.clone());
        cell.spawned.set(seq);
        self.publisher.notice(Notification::Fact(seq, child, fact));
        let state = ChildState::new(outputs.len());
        let mut entry = Box::new(ChildEntry::new(cell, state, seq, span));
        (entry.process, entry.extras) = (Some(process), extras);
        if let Some(recipient) = exit_to {
            entry.awaited().exits.add(None, None, recipient);
        }
        let key = |kind| PipeKey { child, kind };
        for (stream, pipe) in outputs {
            let token = self.driver.add(key(PipeKind::Output(stream)), pipe);
            entry.outputs.push(OutputPipe::new(stream, token));
        }
        entry.status = Some(self.driver.add(key(PipeKind::Status), status.into()));
        entry.input = stdin.map(|pipe| self.driver.add_writer(key(PipeKind::Input), pipe));
        let entry = self.children.entry(child).insert_entry(entry);
        entry.get().span.tell(|| trace::debug!("spawned"));
    }

    /// Reads a pipe that several children write to.
    fn share(&mut self, context: ChildId, pipe: PipeEnd) {
        let key = PipeKey { child: context, kind: PipeKind::Output(Source::Stdout) };
        let token = self.driver.add(key, pipe);
        let cell = ChildCell::new(context, 0, "shared output".into(), None);
        let (state, seq) = (ChildState::shared(), self.link.log().end());
        let mut entry = Box::new(ChildEntry::new(cell, state, seq, ChildSpan::none()));
        entry.outputs.push(OutputPipe::new(Source::Stdout, token));
        self.children.insert(context, entry);
    }

    /// Stages a fact under the next sequence number.
    pub(super) fn stage(&mut self, child: ChildId, fact: Fact) -> Seq {
        let seq = next_seq(&self.staged, &self.link);
        self.staged.push(Entry { seq, turn: self.turn, child, fact });
        seq
    }

    pub(super) fn take(&mut self, Completion { key, what }: Completion) {
        match (key.kind, what) {
            (PipeKind::Output(stream), PipeEvent::Bytes(bytes)) => {
                self.chunk(key.child, stream, None, bytes);
            }
            (PipeKind::Output(stream), PipeEvent::From(writer, bytes)) => {
                self.chunk(key.child, stream, writer, bytes);
            }
            (PipeKind::Output(stream), PipeEvent::End) => self.ended(key.child, stream),
            (PipeKind::Output(stream), PipeEvent::Failed(error)) => {
                self.ended(key.child, stream);
                trace::error!(child = %key.child, ?stream, %error, "a pipe cannot be read on");
            }
            (PipeKind::Input, what) => self.fed(key.child, what),
            (PipeKind::Status, what) => self.status_changed(key.child, &what),
            (PipeKind::Output(_), PipeEvent::Written(_)) => {}
        }
    }

    /// The status pipe was written to or ended: the process knows the exit. The bytes mean nothing:
    /// a descendant of the child can open the pipe by `/proc`, and read and write it.
    fn status_changed(&mut self, child: ChildId, what: &PipeEvent) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        if matches!(what, PipeEvent::End | PipeEvent::Failed(_)) {
            entry.status = None;
        }
        self.records.extend(entry.take_record());
    }

    pub(super) fn chunk(
        &mut self,
        child: ChildId,
        stream: Source,
        writer: Option<i32>,
        bytes: Bytes,
    ) {
        let Some(entry) = self.children.get_mut(&child) else { return };
        let after_exit = matches!(entry.state.phase(), Phase::Exited | Phase::Closed);
        let chunk = Chunk { stream, bytes, after_exit, writer };
        let seq = next_seq(&self.staged, &self.link);
        entry.last_seq = seq;
        if !after_exit {
            entry.output_bytes += chunk.bytes.len() as u64;
        }
        self.staged.push(Entry { seq, turn: self.turn, child, fact: Fact::Chunk(chunk) });
    }

    /// Ends everything: logs pending work and all bytes in the pipes, closes the pipes, and
    /// notifies everyone of the reason. Children without a status get the reason instead.
    pub(super) fn finish(&mut self, reason: &PolicyStopped) {
        for _ in 0..LAST_TRIES {
            match catch_unwind(AssertUnwindSafe(|| self.last_words())) {
                Ok(()) => break,
                Err(panic) => {
                    trace::error!(message = message_of(&*panic), "panicked at the end");
                    dispose(panic);
                }
            }
        }
        for entry in self.children.values() {
            entry.cell.settle(Err(reason.clone()));
            if let Some(input) = &entry.cell.input {
                input.close(Some(libc::EPIPE));
            }
        }
        self.commands.drain(..).for_each(|command| command.refuse(reason));
        drop_contained(mem::take(&mut self.children));
        // From here on no reader may wait for the spill thread.
        self.link.log().spill_no_more();
        self.publisher.stopped(reason);
        self.link.end(reason);
    }

    /// Takes everything left: completions, exits, and the rest of the pipes.
    fn last_words(&mut self) {
        if let Err(error) = self.read(false) {
            trace::error!(%error, "the pipes cannot be read to the end");
        }
        self.take_found();
        // The waiters have reported before the end was requested, and there may be more of them
        // than one turn finds.
        for entry in self.children.values_mut() {
            self.records.extend(entry.take_record());
        }
        self.settle();
        for child in self.children.keys().copied().collect::<Vec<_>>() {
            self.drain_all(child);
        }
        self.take_found();
        self.append();
        self.publisher.publish();
        while self.publisher.has_more() {
            self.publisher.publish();
        }
    }
}
