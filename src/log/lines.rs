//! `Lines`: cuts one stream's chunks into whole lines.

use bytes::{Bytes, BytesMut};

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// By its `\n`.
    Newline,
    /// Not here: it is longer than the maximum, and the next line is its next part.
    Continues,
    /// By the end of its stream: the last line, without a `\n`.
    Unterminated,
}

/// One line, without its `\n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The bytes; shared with the chunk unless the line ran over a chunk's end.
    pub bytes: Bytes,
    /// How it ends.
    pub end: LineEnd,
}

/// Cuts the chunks of one stream of one child into lines, never tearing one. Use one for each
/// stream, and `finish` it at the exit so that an unterminated last line is not lost.
///
/// ```
/// use actix_process::Lines;
///
/// let mut lines = Lines::default();
/// let mut seen = Vec::new();
/// lines.push(&"one\ntw".into(), |line| seen.push(line.bytes));
/// lines.push(&"o\nthree".into(), |line| seen.push(line.bytes));
/// seen.extend(lines.finish().map(|line| line.bytes));
/// assert_eq!(seen, ["one", "two", "three"]);
/// ```
#[derive(Clone, Debug)]
pub struct Lines {
    partial: BytesMut,
    longest: usize,
    trim_carriage_return: bool,
}

impl Default for Lines {
    /// Lines of any length up to 1 MiB, with what stands before the `\n` as it is.
    fn default() -> Self {
        Lines { partial: BytesMut::new(), longest: 1024 * 1024, trim_carriage_return: false }
    }
}

impl Lines {
    /// The greatest length of a line in bytes, at least 1: a longer one comes in parts of this
    /// length, each but the last one [`LineEnd::Continues`]. So no child can fill the memory with
    /// a line that never ends.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes.max(1);
        self
    }

    /// Takes the `\r` off a line that ends with `\r\n`.
    #[must_use]
    pub fn trim_carriage_return(mut self) -> Self {
        self.trim_carriage_return = true;
        self
    }

    /// Takes the next chunk and gives each line that it completes to `each`.
    pub fn push(&mut self, chunk: &Bytes, mut each: impl FnMut(Line)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            self.complete(chunk.slice(start..end), &mut each);
            start = end + 1;
        }
        self.keep(&chunk[start..], &mut each);
    }

    /// Ends the line in hand with these bytes.
    fn complete(&mut self, rest: Bytes, each: &mut impl FnMut(Line)) {
        let mut bytes = if self.partial.is_empty() && rest.len() <= self.longest {
            rest
        } else {
            self.keep(&rest, each);
            self.partial.split().freeze()
        };
        if self.trim_carriage_return && bytes.ends_with(b"\r") {
            bytes.truncate(bytes.len() - 1);
        }
        each(Line { bytes, end: LineEnd::Newline });
    }

    /// Adds to the line in hand, and gives away the parts that make it too long.
    fn keep(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Line)) {
        while self.partial.len() + bytes.len() > self.longest {
            let (fits, rest) = bytes.split_at(self.longest - self.partial.len());
            self.partial.extend_from_slice(fits);
            bytes = rest;
            each(Line { bytes: self.partial.split().freeze(), end: LineEnd::Continues });
        }
        self.partial.extend_from_slice(bytes);
    }

    /// The unterminated rest, if there is one.
    #[must_use]
    pub fn finish(&mut self) -> Option<Line> {
        let bytes = self.partial.split().freeze();
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
