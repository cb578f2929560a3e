//! The actor that runs the processes, prints what they write, and acts on requests.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use actix::prelude::*;
use actix_process::{
    Child, ChildExited, ChildId, ChildLines, Command, Entry, Fact, OutputBatch, PolicyHandle,
    ProcessGroup, Spawn, SpawnError, Stream, UnixSignal,
};
use tokio::sync::oneshot;

use super::{
    paint::{COLOURS, Paint, ending, is_coloured},
    parse::Process,
};

/// A line that the user typed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Request(pub(crate) String);

/// One process of the Procfile.
struct Place {
    process: Process,
    child: Option<Child>,
    /// It is being spawned.
    starting: bool,
    /// It is to be started again when it has ended.
    restart: bool,
}

/// The board of processes. `done` gets the first non-zero status when all have ended.
pub(crate) struct Board {
    policy: PolicyHandle,
    places: Vec<Place>,
    lines: HashMap<ChildId, (usize, ChildLines)>,
    /// Entries of children that are not known by name yet.
    early: HashMap<ChildId, Vec<Entry>>,
    first_failure: u8,
    width: usize,
    done: Option<oneshot::Sender<u8>>,
}

impl Board {
    pub(crate) fn new(
        policy: PolicyHandle,
        processes: Vec<Process>,
        done: oneshot::Sender<u8>,
    ) -> Self {
        let width = processes.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
        let place = |process| Place { process, child: None, starting: false, restart: false };
        Board {
            policy,
            places: processes.into_iter().map(place).collect(),
            lines: HashMap::new(),
            early: HashMap::new(),
            first_failure: 0,
            width,
            done: Some(done),
        }
    }

    fn start_process(&mut self, at: usize, context: &mut Context<Self>) {
        self.places[at].starting = true;
        // A group of its own: a signal reaches what the shell starts, too.
        let command = Command::shell(&*self.places[at].process.command);
        let spawn = Spawn::new(command.process_group(ProcessGroup::Own));
        let policy = self.policy.clone();
        let spawned = async move { policy.spawn(spawn).await };
        context.spawn(
            spawned
                .into_actor(self)
                .map(move |child, board, context| board.started(at, child, context)),
        );
    }

    fn started(
        &mut self,
        at: usize,
        child: Result<Child, SpawnError>,
        context: &mut Context<Self>,
    ) {
        self.places[at].starting = false;
        match child {
            Ok(child) => {
                self.say(at, '=', format!("started, pid {}", child.pid()).as_bytes());
                let early = self.early.remove(&child.id()).unwrap_or_default();
                self.lines.insert(child.id(), (at, ChildLines::default()));
                self.places[at].child = Some(child);
                early.iter().for_each(|entry| self.entry(entry));
                // Its exit may have been here before it.
                let child = self.places[at].child.as_ref();
                if let Some(Ok(exit)) = child.and_then(Child::try_wait) {
                    self.exited(&exit, context);
                }
            }
            Err(error) => {
                self.say(at, '=', error.to_string().as_bytes());
                self.ended(126);
            }
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let Some((at, lines)) = self.lines.get_mut(&entry.child) else {
            self.early.entry(entry.child).or_default().push(entry.clone());
            return;
        };
        let (at, mut cut) = (*at, Vec::new());
        lines.push(&entry.fact, |line| cut.push(line));
        for line in cut {
            let mark = if line.stream == Stream::Stderr { '!' } else { '|' };
            self.say(at, mark, &line.line.bytes);
        }
        match &entry.fact {
            Fact::Exited(exit) => self.say(at, '=', ending(exit).as_bytes()),
            Fact::Closed => drop(self.lines.remove(&entry.child)),
            Fact::Spawned { .. } | Fact::Chunk(_) => {}
        }
    }

    fn say(&mut self, at: usize, mark: char, text: &[u8]) {
        let name = format!("{:width$}", self.places[at].process.name, width = self.width);
        let colour = is_coloured().then_some(COLOURS[at % COLOURS.len()]);
        let mut out = io::stdout().lock();
        let said = Paint { name, colour }.line(&mut out, mark, text).and_then(|()| out.flush());
        if said.is_err() {
            // Nobody reads on.
            self.tell(1);
        }
    }

    fn exited(&mut self, exit: &ChildExited, context: &mut Context<Self>) {
        let is_its = |place: &Place| place.child.as_ref().is_some_and(|it| it.id() == exit.child);
        let Some(at) = self.places.iter().position(is_its) else { return };
        self.places[at].child = None;
        if std::mem::take(&mut self.places[at].restart) {
            self.start_process(at, context);
        } else {
            self.ended(exit.status.shell_code());
        }
    }

    /// A process has ended and is not started again.
    fn ended(&mut self, code: u8) {
        if self.first_failure == 0 {
            self.first_failure = code;
        }
        if self.places.iter().all(|place| place.child.is_none() && !place.starting) {
            self.tell(self.first_failure);
        }
    }

    fn tell(&mut self, code: u8) {
        if let Some(done) = self.done.take() {
            // After a signal nobody waits for it.
            let _ = done.send(code);
        }
    }

    fn terminate(&self, at: usize, context: &mut Context<Self>) -> bool {
        let Some(child) = self.places[at].child.clone() else { return false };
        let terminated = async move {
            if let Err(error) = child.signal_group(UnixSignal::SIGTERM).await {
                eprintln!("procfile: {error}");
            }
        };
        context.spawn(terminated.into_actor(self));
        true
    }
}

impl Actor for Board {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        (0..self.places.len()).for_each(|at| self.start_process(at, context));
    }
}

impl Handler<OutputBatch> for Board {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        batch.entries().for_each(|entry| self.entry(entry));
    }
}

impl Handler<ChildExited> for Board {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        self.exited(&exit, context);
    }
}

impl Handler<Request> for Board {
    type Result = ();

    fn handle(&mut self, Request(line): Request, context: &mut Self::Context) {
        let mut words = line.split_whitespace();
        let (Some(verb), name) = (words.next(), words.next()) else { return };
        let at = name.and_then(|name| self.places.iter().position(|it| it.process.name == name));
        match (verb, at) {
            ("restart", Some(at)) => {
                if self.terminate(at, context) {
                    self.places[at].restart = true;
                } else if !self.places[at].starting {
                    self.start_process(at, context);
                }
            }
            ("stop", Some(at)) => {
                self.places[at].restart = false;
                self.terminate(at, context);
            }
            _ => eprintln!("procfile: type `restart NAME` or `stop NAME`"),
        }
    }
}
