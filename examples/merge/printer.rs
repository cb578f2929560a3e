//! The actor that prints: whole lines, exit lines, the summary.

use std::{
    collections::HashMap,
    io::{self, Write},
    time::Instant,
};

use actix::prelude::*;
use actix_process::{ChildId, ChildLines, Entry, Fact, OutputBatch, SpawnError, Stream};
use tokio::sync::oneshot;

use super::paint::{COLOURS, Paint, ending, is_coloured};

/// A command runs as this child.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Started {
    pub(crate) number: usize,
    pub(crate) child: ChildId,
}

/// A command could not be spawned.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NotStarted {
    pub(crate) number: usize,
    pub(crate) error: SpawnError,
}

/// All is over: print the rest and the summary.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Finished;

/// One running command.
struct Running {
    name: String,
    colour: u8,
    lines: ChildLines,
}

impl Running {
    fn paint(&self, colour: bool) -> Paint {
        Paint { name: self.name.clone(), colour: colour.then_some(self.colour) }
    }
}

/// Prints. The first non-zero status goes to `done` when every command has ended.
pub(crate) struct Printer {
    names: Vec<String>,
    children: HashMap<ChildId, Running>,
    /// Entries of children that are not known by name yet.
    early: HashMap<ChildId, Vec<Entry>>,
    unended: usize,
    failed: usize,
    first_failure: u8,
    begin: Instant,
    colour: bool,
    done: Option<oneshot::Sender<u8>>,
}

impl Printer {
    pub(crate) fn new(commands: &[String], done: oneshot::Sender<u8>) -> Self {
        let word = |line: &String| line.split_whitespace().next().unwrap_or("?").to_owned();
        let names = commands.iter().map(word).enumerate();
        let names: Vec<_> =
            names.map(|(place, word)| format!("{}:{word:.12}", place + 1)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        Printer {
            unended: names.len(),
            names: names.into_iter().map(|name| format!("{name:width$}")).collect(),
            children: HashMap::new(),
            early: HashMap::new(),
            failed: 0,
            first_failure: 0,
            begin: Instant::now(),
            colour: is_coloured(),
            done: Some(done),
        }
    }

    fn entry(&mut self, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let Some(running) = self.children.get_mut(&entry.child) else {
            self.early.entry(entry.child).or_default().push(entry.clone());
            return Ok(());
        };
        let (paint, mut lines) = (running.paint(self.colour), Vec::new());
        running.lines.push(&entry.fact, |line| lines.push(line));
        for line in lines {
            let mark = if line.stream == Stream::Stderr { '!' } else { '|' };
            paint.line(out, mark, &line.line.bytes)?;
        }
        if let Fact::Exited(exit) = &entry.fact {
            paint.line(out, '=', ending(exit).as_bytes())?;
            self.ended(exit.status.shell_code());
        }
        Ok(())
    }

    fn ended(&mut self, code: u8) {
        self.unended -= 1;
        if code != 0 {
            self.failed += 1;
            if self.first_failure == 0 {
                self.first_failure = code;
            }
        }
        if self.unended == 0 {
            self.tell(self.first_failure);
        }
    }

    fn tell(&mut self, code: u8) {
        if let Some(done) = self.done.take() {
            // After a signal nobody waits for it.
            let _ = done.send(code);
        }
    }

    /// Prints, and ends everything when nobody reads on: `merge ... | head`.
    fn print(&mut self, print: impl FnOnce(&mut Self, &mut dyn Write) -> io::Result<()>) {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if print(self, &mut out).and_then(|()| out.flush()).is_err() {
            self.tell(1);
        }
    }
}

impl Actor for Printer {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Printer {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        self.print(|printer, mut out| {
            batch.entries().try_for_each(|entry| printer.entry(entry, &mut out))
        });
    }
}

impl Handler<Started> for Printer {
    type Result = ();

    fn handle(&mut self, Started { number, child }: Started, _: &mut Self::Context) {
        let (name, colour) = (self.names[number].clone(), COLOURS[number % COLOURS.len()]);
        self.children.insert(child, Running { name, colour, lines: ChildLines::default() });
        let early = self.early.remove(&child).unwrap_or_default();
        self.print(|printer, mut out| {
            early.iter().try_for_each(|entry| printer.entry(entry, &mut out))
        });
    }
}

impl Handler<NotStarted> for Printer {
    type Result = ();

    fn handle(&mut self, NotStarted { number, error }: NotStarted, _: &mut Self::Context) {
        let paint = Paint { name: self.names[number].clone(), colour: None };
        self.print(|_, out| paint.line(out, '=', error.to_string().as_bytes()));
        self.ended(126);
    }
}

impl Handler<Finished> for Printer {
    type Result = ();

    fn handle(&mut self, Finished: Finished, _: &mut Self::Context) {
        let seconds = self.begin.elapsed().as_secs_f64();
        let (commands, failed) = (self.names.len(), self.failed);
        self.print(|_, out| writeln!(out, "{commands} commands, {failed} failed, {seconds:.3} s"));
    }
}
