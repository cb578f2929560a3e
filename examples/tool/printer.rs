//! `Printer`: the actor that writes to standard output, on an arbiter of its own. While nobody reads
//! the output, it waits, and so does the log, but nothing else.

use std::{collections::HashMap, io};

use actix::prelude::*;
use actix_process::{ChildId, Entry, Fact, OutputBatch, Source};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    line_parts::LineParts,
    paint::{Paint, ending},
    signals::Event,
    write,
};

/// Lines are written together up to this many bytes.
const TOGETHER: usize = 64 * 1024;

/// The child of this id is shown by the name of this number.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Known {
    pub(crate) name: usize,
    pub(crate) child: ChildId,
}

/// The tool's own words about one name.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Say {
    pub(crate) name: usize,
    pub(crate) text: String,
}

/// The last lines. Answered when everything is written.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Last(pub(crate) Vec<String>);

pub(crate) struct Printer {
    paint: Paint,
    children: HashMap<ChildId, (usize, LineParts)>,
    /// Entries of children that are not known by name yet.
    early: HashMap<ChildId, Vec<Entry>>,
    out: Vec<u8>,
    /// Standard output failed: nothing more is written.
    failed: bool,
    events: UnboundedSender<Event>,
}

impl Printer {
    pub(crate) fn new(names: &[String], events: UnboundedSender<Event>) -> Self {
        Printer {
            paint: Paint::new(names),
            children: HashMap::new(),
            early: HashMap::new(),
            out: Vec::new(),
            failed: false,
            events,
        }
    }

    fn entry(&mut self, entry: &Entry) {
        if self.failed {
            return;
        }
        let Some((name, parts)) = self.children.get_mut(&entry.child) else {
            self.early.entry(entry.child).or_default().push(entry.clone());
            return;
        };
        let (paint, out) = (&self.paint, &mut self.out);
        parts.push(&entry.fact, |part| {
            let mark = match part.stream {
                Source::Stderr => '!',
                _ => '|',
            };
            paint.line(out, *name, mark, part.text, part.is_cut);
        });
        match &entry.fact {
            Fact::Exited(exit) => paint.line(out, *name, '=', ending(exit).as_bytes(), false),
            Fact::Closed => drop(self.children.remove(&entry.child)),
            _ => {}
        }
        if self.out.len() >= TOGETHER {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.failed
            && let Err(error) = write::Stream::Output.write_all(&self.out)
        {
            self.fail(error);
        }
        self.out.clear();
    }

    fn fail(&mut self, error: io::Error) {
        self.failed = true;
        // The session ends with the program only.
        let _ = self.events.send(Event::OutputFailed(error));
    }
}

impl Actor for Printer {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Printer {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        batch.entries().for_each(|entry| self.entry(entry));
        self.flush();
    }
}

impl Handler<Known> for Printer {
    type Result = ();

    fn handle(&mut self, Known { name, child }: Known, _: &mut Self::Context) {
        self.children.insert(child, (name, LineParts::default()));
        let early = self.early.remove(&child).unwrap_or_default();
        early.iter().for_each(|entry| self.entry(entry));
        self.flush();
    }
}

impl Handler<Say> for Printer {
    type Result = ();

    fn handle(&mut self, Say { name, text }: Say, _: &mut Self::Context) {
        self.paint.line(&mut self.out, name, '=', text.as_bytes(), false);
        self.flush();
    }
}

impl Handler<Last> for Printer {
    type Result = ();

    fn handle(&mut self, Last(lines): Last, _: &mut Self::Context) {
        for line in lines {
            self.out.extend_from_slice(line.as_bytes());
            self.out.push(b'\n');
        }
        self.flush();
    }
}
