//! `ChildLines`: cuts one child's entries into lines. Also writes the log as lines of text.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use smallvec::SmallVec;

use super::{Entry, Fact, Line, Lines, LogReader};
use crate::{ChildId, Source};

/// A line of a child, and its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildLine {
    /// The stream that the line came through.
    pub stream: Source,
    /// The line.
    pub line: Line,
}

/// Cuts one child's entries into lines, each stream on its own. The unterminated last lines come
/// before the exit, standard output's first. Output of descendants after it is cut on its own.
#[derive(Clone, Debug, Default)]
pub struct ChildLines {
    /// The cutter that each new stream starts with.
    fresh: Lines,
    /// In the order in which the streams appeared.
    streams: SmallVec<[(Source, Lines); 2]>,
}

impl ChildLines {
    /// Uses these settings for all streams instead of the default ones.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        ChildLines { fresh: lines, streams: SmallVec::new() }
    }

    /// Takes the child's next fact and passes each line that it completes to `each`.
    pub fn push(&mut self, fact: &Fact, mut each: impl FnMut(ChildLine)) {
        match fact {
            Fact::Chunk(chunk) => {
                let stream = chunk.stream;
                let known = self.streams.iter().position(|(of, _)| *of >= stream);
                let at = known.unwrap_or(self.streams.len());
                if self.streams.get(at).is_none_or(|(of, _)| *of != stream) {
                    self.streams.insert(at, (stream, self.fresh.clone()));
                }
                self.streams[at].1.push(&chunk.bytes, |line| each(ChildLine { stream, line }));
            }
            Fact::Exited(_) | Fact::Closed => self.finish(each),
            Fact::Spawned { .. } => {}
        }
    }

    /// Passes the unterminated last lines to `each`.
    pub fn finish(&mut self, mut each: impl FnMut(ChildLine)) {
        for (stream, lines) in &mut self.streams {
            if let Some(line) = lines.finish() {
                each(ChildLine { stream: *stream, line });
            }
        }
    }
}

impl LogReader {
    /// Writes the log as text until the policy has stopped, blocking this thread. Writes a line for
    /// each line of output (`child#1 | text`, with `!` for standard error and `+` for extra
    /// descriptors), each exit (`=`) and each gap. Lines of different children are never mixed.
    ///
    /// # Errors
    ///
    /// The writer's error.
    pub fn write_lines(self, mut out: impl Write) -> io::Result<()> {
        let mut children: HashMap<ChildId, ChildLines> = HashMap::new();
        for batch in self.blocking() {
            if let Some(gap) = batch.gap() {
                // No line continues across a gap.
                finish_all(&mut children, |child| gap.concerns(child), &mut out)?;
                writeln!(out, "... {} bytes in {} chunks are gone", gap.bytes, gap.chunks)?;
            }
            for Entry { child, fact, .. } in batch.entries() {
                let mut lines = Vec::new();
                children.entry(*child).or_default().push(fact, |line| lines.push(line));
                lines.iter().try_for_each(|line| write_line(&mut out, *child, line))?;
                match fact {
                    Fact::Exited(exit) => writeln!(out, "{child} = {}", exit.status)?,
                    Fact::Closed => drop(children.remove(child)),
                    Fact::Spawned { .. } | Fact::Chunk(_) => {}
                }
            }
            out.flush()?;
        }
        finish_all(&mut children, |_| true, &mut out)?;
        out.flush()
    }
}

fn finish_all(
    children: &mut HashMap<ChildId, ChildLines>,
    which: impl Fn(ChildId) -> bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for (child, mut lines) in children.extract_if(|child, _| which(*child)) {
        let mut rests = Vec::new();
        lines.finish(|line| rests.push(line));
        rests.iter().try_for_each(|line| write_line(out, child, line))?;
    }
    Ok(())
}

fn write_line(out: &mut impl Write, child: ChildId, line: &ChildLine) -> io::Result<()> {
    let mark = match line.stream {
        Source::Stdout => '|',
        Source::Stderr => '!',
        Source::Extra(_) => '+',
    };
    write!(out, "{child} {mark} ")?;
    out.write_all(&line.line.bytes)?;
    out.write_all(b"\n")
}
