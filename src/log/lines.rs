//! `Lines`: cuts one stream's chunks into whole lines.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::newlines::each_newline;

/// The default maximum length of a line.
pub(super) const LONGEST: usize = 1024 * 1024;

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEnd {
    /// With its `\n`.
    Newline,
    /// Not here: the line is longer than the maximum, and continues in the next one.
    Continues,
    /// With the end of its stream: the last line, without a `\n`.
    Unterminated,
}

/// One line, without its `\n`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The bytes. Shared with the chunk, unless the line began in an earlier chunk.
    pub bytes: Bytes,
    /// How it ends.
    pub end: LineEnd,
}

impl Line {
    /// The line as text. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Cuts the chunks of one stream of one child into whole lines. Use one for each stream, and call
/// `finish` at the exit, so that an unterminated last line is not lost.
///
/// ```
/// use actix_process::log::Lines;
///
/// let mut lines = Lines::default();
/// let mut seen = Vec::new();
/// lines.push(&"one\ntw".into(), |line| seen.push(line.bytes));
/// lines.push(&"o\nthree".into(), |line| seen.push(line.bytes));
/// seen.extend(lines.finish().map(|line| line.bytes));
/// assert_eq!(seen, ["one", "two", "three"]);
/// ```
#[derive(Clone)]
pub struct Lines {
    partial: Vec<u8>,
    longest: usize,
    trim_carriage_return: bool,
}

impl Default for Lines {
    /// Lines up to 1 MiB, which keep everything before the `\n`.
    fn default() -> Self {
        Lines { partial: Vec::new(), longest: LONGEST, trim_carriage_return: false }
    }
}

/// Shows the length of the unfinished line and never its bytes.
impl fmt::Debug for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lines")
            .field("partial", &self.partial.len())
            .field("longest", &self.longest)
            .field("trim_carriage_return", &self.trim_carriage_return)
            .finish()
    }
}

/// The position of a line's bytes.
#[derive(Clone, Copy)]
enum SpillRef {
    Chunk,
    Partial,
}

impl Lines {
    /// The maximum length of a line in bytes, at least 1. A longer line comes in parts of this
    /// length, each but the last one [`LineEnd::Continues`]. So a child whose line never ends
    /// cannot fill the memory.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes.max(1);
        self
    }

    /// Removes the `\r` from a line that ends with `\r\n`.
    #[must_use]
    pub fn trim_carriage_return(mut self) -> Self {
        self.trim_carriage_return = true;
        self
    }

    /// Takes the next chunk and passes each line that it completes to `each`.
    pub fn push(&mut self, chunk: &Bytes, mut each: impl FnMut(Line)) {
        self.cut(chunk, |line, place, end| {
            let bytes = match place {
                SpillRef::Chunk => chunk.slice_ref(line),
                SpillRef::Partial => Bytes::copy_from_slice(line),
            };
            each(Line { bytes, end });
        });
    }

    /// As `push`, but lends the lines: cheaper if the caller keeps no line.
    #[inline]
    pub fn visit(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8], LineEnd)) {
        self.cut(chunk, |line, _, end| each(line, end));
    }

    #[inline]
    fn cut(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8], SpillRef, LineEnd)) {
        let mut start = 0;
        each_newline(chunk, |end| {
            let line = &chunk[start..end];
            start = end + 1;
            if self.partial.is_empty() && line.len() <= self.longest {
                each(self.trimmed(line), SpillRef::Chunk, LineEnd::Newline);
            } else {
                self.keep(line, &mut each);
                each(self.trimmed(&self.partial), SpillRef::Partial, LineEnd::Newline);
                self.partial.clear();
            }
        });
        self.keep(&chunk[start..], &mut each);
    }

    fn trimmed<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        match line.strip_suffix(b"\r") {
            Some(trimmed) if self.trim_carriage_return => trimmed,
            _ => line,
        }
    }

    /// Adds to the unfinished line, and passes on the parts that would make it too long.
    fn keep(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8], SpillRef, LineEnd)) {
        while self.partial.len() + bytes.len() > self.longest {
            let (fits, rest) = bytes.split_at(self.longest - self.partial.len());
            self.partial.extend_from_slice(fits);
            bytes = rest;
            each(&self.partial, SpillRef::Partial, LineEnd::Continues);
            self.partial.clear();
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Returns the unterminated last line, if there is one.
    #[must_use]
    pub fn finish(&mut self) -> Option<Line> {
        let bytes = Bytes::from(std::mem::take(&mut self.partial));
        (!bytes.is_empty()).then_some(Line { bytes, end: LineEnd::Unterminated })
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// The lines of a text that comes in chunks of these lengths.
    fn cut(mut lines: Lines, text: &[u8], chunks: &[usize]) -> Vec<Line> {
        let mut text = Bytes::copy_from_slice(text);
        let mut cut = Vec::new();
        for len in chunks.iter().cycle() {
            if text.is_empty() {
                break;
            }
            let chunk = text.split_to((*len).min(text.len()));
            lines.push(&chunk, |line| cut.push(line));
        }
        cut.extend(lines.finish());
        cut
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..200)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_chunks_and_lose_no_byte(
            text in text(), chunks in proptest::collection::vec(1_usize..20, 1..10),
            longest in 1_usize..30,
        ) {
            let lines = Lines::default().longest(longest);
            let whole = cut(lines.clone(), &text, &[text.len().max(1)]);
            prop_assert_eq!(&whole, &cut(lines, &text, &chunks));
            let mut again = Vec::new();
            for line in &whole {
                prop_assert!(line.bytes.len() <= longest);
                again.extend_from_slice(&line.bytes);
                again.extend((line.end == LineEnd::Newline).then_some(b'\n'));
            }
            prop_assert_eq!(again, text);
        }

        #[test]
        fn a_carriage_return_goes_only_before_a_newline(text in text()) {
            let trimmed = cut(Lines::default().trim_carriage_return(), &text, &[7]);
            let kept = cut(Lines::default(), &text, &[7]);
            prop_assert_eq!(trimmed.len(), kept.len());
            for (trimmed, kept) in trimmed.iter().zip(&kept) {
                let expected = match kept.end {
                    LineEnd::Newline => kept.bytes.strip_suffix(b"\r").unwrap_or(&kept.bytes),
                    LineEnd::Continues | LineEnd::Unterminated => &kept.bytes,
                };
                prop_assert_eq!(&trimmed.bytes[..], expected);
            }
        }
    }
}
