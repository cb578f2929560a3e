//! The tool's own words on standard error, written by a thread of their own: a standard error that
//! nobody reads holds up nothing else.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use tokio::sync::oneshot;

use super::{text::visible, write::Stream};

enum Note {
    Line(String),
    Flush(oneshot::Sender<()>),
}

/// Takes lines for standard error.
#[derive(Clone)]
pub(crate) struct Notes {
    tool: &'static str,
    notes: Sender<Note>,
}

impl Notes {
    pub(crate) fn start(tool: &'static str) -> io::Result<Self> {
        let (notes, taken) = channel();
        thread::Builder::new().name("notes".into()).spawn(move || write(&taken))?;
        Ok(Notes { tool, notes })
    }

    /// Tells one line, with the tool's name in front.
    pub(crate) fn tell(&self, text: &str) {
        let line = format!("{}: {}\n", self.tool, visible(text.as_bytes()));
        // The thread ends with the program only.
        let _ = self.notes.send(Note::Line(line));
    }

    /// Returns when everything told so far is written.
    pub(crate) async fn flushed(&self) {
        let (done, flushed) = oneshot::channel();
        let _ = self.notes.send(Note::Flush(done));
        let _ = flushed.await;
    }
}

fn write(notes: &Receiver<Note>) {
    for note in notes {
        match note {
            // There is no place left to tell it if standard error fails.
            Note::Line(line) => drop(Stream::Errors.write_all(line.as_bytes())),
            Note::Flush(done) => drop(done.send(())),
        }
    }
}
