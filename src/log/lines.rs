//! `Lines`: cuts one stream's chunks into whole lines.

use bytes::{Bytes, BytesMut};

/// One line, without its `\n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The bytes; shared with the chunk unless the line ran over a chunk's end.
    pub bytes: Bytes,
    /// Whether a `\n` ended it. `false` for a stream's last line that had none.
    pub terminated: bool,
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
#[derive(Debug, Default)]
pub struct Lines {
    partial: BytesMut,
}

impl Lines {
    /// Takes the next chunk and gives each line that it completes to `each`.
    pub fn push(&mut self, chunk: &Bytes, mut each: impl FnMut(Line)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let bytes = if self.partial.is_empty() {
                chunk.slice(start..end)
            } else {
                self.partial.extend_from_slice(&chunk[start..end]);
                self.partial.split().freeze()
            };
            each(Line { bytes, terminated: true });
            start = end + 1;
        }
        self.partial.extend_from_slice(&chunk[start..]);
    }

    /// The unterminated rest, if there is one.
    #[must_use]
    pub fn finish(&mut self) -> Option<Line> {
        let bytes = self.partial.split().freeze();
        (!bytes.is_empty()).then_some(Line { bytes, terminated: false })
    }
}
