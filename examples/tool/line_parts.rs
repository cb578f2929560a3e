//! `LineParts`: a child's lines, those that are too long cut between characters.

use std::collections::HashMap;

use actix_process::{ChildLines, Fact, LineEnd, Lines, Stream};

use super::text::uncut;

/// A line, or a part of one.
pub(crate) struct LinePart<'a> {
    pub(crate) stream: Stream,
    pub(crate) text: &'a [u8],
    /// The next one of this stream goes on with the same line.
    pub(crate) is_cut: bool,
}

/// Cuts one child's output into lines.
pub(crate) struct LineParts {
    lines: ChildLines,
    /// The bytes of a character whose rest comes with the stream's next part.
    begun: HashMap<Stream, Vec<u8>>,
}

impl Default for LineParts {
    fn default() -> Self {
        let lines = ChildLines::new(Lines::default().trim_carriage_return());
        LineParts { lines, begun: HashMap::new() }
    }
}

impl LineParts {
    pub(crate) fn push(&mut self, fact: &Fact, mut each: impl FnMut(LinePart<'_>)) {
        let LineParts { lines, begun } = self;
        lines.push(fact, |line| {
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
