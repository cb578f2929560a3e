//! `LineParts`: a child's lines, those that are too long cut between characters, and those with
//! carriage returns, which must not overwrite a prefix, at these.

use std::collections::HashMap;

use actix_process::{
    Fact, Source,
    log::{ChildLines, Chunk, LineEnd},
};

use super::text::uncut;

/// A line, or a part of one.
pub(crate) struct LinePart<'a> {
    pub(crate) stream: Source,
    pub(crate) text: &'a [u8],
    /// The next one of this stream goes on with the same line.
    pub(crate) is_cut: bool,
}

/// Cuts one child's output into lines.
#[derive(Default)]
pub(crate) struct LineParts {
    lines: ChildLines,
    returns: HashMap<Source, Returns>,
    /// The bytes of a character whose rest comes with the stream's next part.
    begun: HashMap<Source, Vec<u8>>,
}

impl LineParts {
    pub(crate) fn push(&mut self, fact: &Fact, mut each: impl FnMut(LinePart<'_>)) {
        let LineParts { lines, returns, begun } = self;
        let broken = match fact {
            Fact::Chunk(chunk) => returns.entry(chunk.stream).or_default().broken(chunk),
            _ => None,
        };
        lines.push(broken.as_ref().unwrap_or(fact), |line| {
            let (stream, bytes) = (line.stream, &line.line.bytes);
            let is_cut = line.line.end == LineEnd::Continues;
            if !is_cut && begun.is_empty() {
                return each(LinePart { stream, text: bytes, is_cut });
            }
            let mut text = begun.remove(&stream).unwrap_or_default();
            text.extend_from_slice(bytes);
            if is_cut {
                let rest = text.split_off(uncut(&text));
                begun.insert(stream, rest);
            }
            each(LinePart { stream, text: &text, is_cut });
        });
    }
}

/// Where a stream stands in its line.
#[derive(Default)]
struct Returns {
    /// The line has something after its last carriage return.
    text: bool,
    /// The line has something before that.
    shown: bool,
}

impl Returns {
    /// The chunk with a line's end in the place of each carriage return, and no empty lines of it:
    /// nothing comes of `\r\n` but one end. `None` for a chunk that stays as it is.
    fn broken(&mut self, chunk: &Chunk) -> Option<Fact> {
        let ends_shown = self.shown && !self.text && chunk.bytes.first() == Some(&b'\n');
        if !ends_shown && memchr::memchr(b'\r', &chunk.bytes).is_none() {
            if let Some(last) = chunk.bytes.last() {
                self.text = *last != b'\n';
                self.shown = self.shown && !chunk.bytes.contains(&b'\n');
            }
            return None;
        }
        let mut bytes = Vec::with_capacity(chunk.bytes.len());
        for byte in &chunk.bytes {
            match byte {
                b'\r' if self.text => {
                    bytes.push(b'\n');
                    *self = Returns { text: false, shown: true };
                }
                b'\r' => {}
                b'\n' => {
                    if self.text || !self.shown {
                        bytes.push(b'\n');
                    }
                    *self = Returns::default();
                }
                _ => {
                    bytes.push(*byte);
                    self.text = true;
                }
            }
        }
        let mut returned = chunk.clone();
        returned.bytes = bytes.into();
        Some(Fact::Chunk(returned))
    }
}
