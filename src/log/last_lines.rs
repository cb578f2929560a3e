//! `LastLines`: finds a child's last lines from its newest entry backwards, so that it keeps only
//! these lines. Returns the same last lines as [`ChildLines`](super::ChildLines).

use std::collections::BTreeMap;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{ChildLine, Entry, Fact, Line, LineEnd, lines::LONGEST};
use crate::{ChildId, Seq, Source};

/// The position that completes a line: a byte of a chunk, or an entry that ends all streams' lines.
type Key = (u64, usize, Source);

/// A line whose end is known and whose beginning is not yet known.
#[derive(Debug)]
struct Open {
    key: Key,
    end: LineEnd,
    /// The known parts, the last one first, each with its position.
    parts: Vec<(u64, usize, Bytes)>,
    len: usize,
}

#[derive(Debug)]
enum Tail {
    Open(Open),
    /// The stream's older lines are not among the last ones.
    Settled,
}

/// Takes entries from the newest to the oldest.
#[derive(Debug)]
pub(crate) struct LastLines {
    child: ChildId,
    count: usize,
    longest: usize,
    /// The last lines, ordered by the position that completes them; `None` for open lines.
    lines: BTreeMap<Key, Option<ChildLine>>,
    /// The streams seen since `ended`.
    streams: SmallVec<[(Source, Tail); 2]>,
    /// The oldest position seen so far that ends every stream's line.
    ended: u64,
}

impl LastLines {
    pub(crate) fn new(child: ChildId, count: usize) -> Self {
        Self::of_at_most(child, count, LONGEST)
    }

    fn of_at_most(child: ChildId, count: usize, longest: usize) -> Self {
        let (lines, streams) = (BTreeMap::new(), SmallVec::new());
        LastLines { child, count, longest, lines, streams, ended: u64::MAX }
    }

    /// Takes the next older entry. Returns `false` if no older entry can matter.
    pub(crate) fn take(&mut self, entry: &Entry) -> bool {
        if entry.child != self.child {
            return true;
        }
        match &entry.fact {
            Fact::Chunk(chunk) => self.chunk(entry.seq.0, chunk.stream, &chunk.bytes),
            Fact::Exited(_) | Fact::Closed => self.cut(entry.seq),
            Fact::Spawned { .. } => return false,
        }
        self.more()
    }

    /// No line continues across this position.
    pub(crate) fn cut(&mut self, at: Seq) {
        self.close_all();
        self.ended = at.0;
    }

    /// Returns the lines, the oldest first.
    pub(crate) fn finish(mut self) -> Vec<ChildLine> {
        self.close_all();
        self.lines.into_values().flatten().collect()
    }

    /// Whether an older entry can matter.
    pub(crate) fn more(&self) -> bool {
        let full = self.lines.len() >= self.count;
        let oldest = self.lines.first_key_value().map_or(u64::MAX, |((at, ..), _)| *at);
        // A stream that has not been seen yet may have an unterminated line that ends at `ended`.
        !full
            || (self.count > 0 && oldest <= self.ended)
            || self.streams.iter().any(|(_, tail)| matches!(tail, Tail::Open(_)))
    }

    fn chunk(&mut self, seq: u64, stream: Source, bytes: &Bytes) {
        let known = self.streams.iter().position(|(its, _)| *its == stream);
        let at = known.unwrap_or_else(|| {
            self.streams.push((stream, Tail::Settled));
            self.streams.len() - 1
        });
        if known.is_some() && matches!(self.streams[at].1, Tail::Settled) {
            return;
        }
        if known.is_none() && bytes.last() != Some(&b'\n') {
            self.open(at, (self.ended, 0, stream), LineEnd::Unterminated);
        }
        let mut end = bytes.len();
        while let Some(newline) = bytes[..end].iter().rposition(|byte| *byte == b'\n') {
            self.add(at, seq, newline + 1, bytes.slice(newline + 1..end));
            self.close(at);
            if !self.open(at, (seq, newline, stream), LineEnd::Newline) {
                return;
            }
            end = newline;
        }
        self.add(at, seq, 0, bytes.slice(..end));
    }

    /// A line of the stream ends here. Returns `false` if it is not one of the last lines.
    fn open(&mut self, at: usize, key: Key, end: LineEnd) -> bool {
        let fits = self.insert(key, None);
        if fits {
            self.streams[at].1 = Tail::Open(Open { key, end, parts: Vec::new(), len: 0 });
        }
        fits
    }

    /// Inserts the line in place of the oldest one. Returns `false` if it is older than all.
    fn insert(&mut self, key: Key, line: Option<ChildLine>) -> bool {
        if self.lines.len() >= self.count {
            let Some((&oldest, _)) = self.lines.first_key_value().filter(|(its, _)| **its < key)
            else {
                return false;
            };
            self.lines.remove(&oldest);
            for (_, tail) in &mut self.streams {
                if matches!(tail, Tail::Open(open) if open.key == oldest) {
                    *tail = Tail::Settled;
                }
            }
        }
        self.lines.insert(key, line);
        true
    }

    fn add(&mut self, at: usize, seq: u64, place: usize, bytes: Bytes) {
        if let Tail::Open(open) = &mut self.streams[at].1
            && !bytes.is_empty()
        {
            open.len += bytes.len();
            open.parts.push((seq, place, bytes));
        }
    }

    fn close_all(&mut self) {
        (0..self.streams.len()).for_each(|at| self.close(at));
        self.streams.clear();
    }

    /// The beginning of the open line is reached. A long line is cut into several.
    fn close(&mut self, at: usize) {
        let (stream, tail) = &mut self.streams[at];
        let (stream, tail) = (*stream, std::mem::replace(tail, Tail::Settled));
        let Tail::Open(Open { key, end, mut parts, len }) = tail else { return };
        parts.reverse();
        let longest = self.longest;
        let cuts = len.saturating_sub(1) / longest;
        let line = |cut: usize, end| {
            let from = cut * longest;
            let bytes = copy(&parts, from, (from + longest).min(len));
            Some(ChildLine { stream, line: Line { bytes, end } })
        };
        let last = line(cuts, end);
        if let Some(slot) = self.lines.get_mut(&key) {
            *slot = last;
        }
        for cut in (0..cuts).rev() {
            // A part is complete when the first byte after it comes.
            let key = place_of(&parts, (cut + 1) * longest, stream);
            let part = line(cut, LineEnd::Continues);
            if !self.insert(key, part) {
                break;
            }
        }
    }
}

/// Copies a part of a line, because a slice would keep the whole chunk in memory.
fn copy(parts: &[(u64, usize, Bytes)], from: usize, to: usize) -> Bytes {
    let mut copied = Vec::with_capacity(to - from);
    let mut start = 0;
    for (_, _, bytes) in parts {
        let end = start + bytes.len();
        if start < to && end > from {
            copied.extend_from_slice(&bytes[from.max(start) - start..to.min(end) - start]);
        }
        start = end;
    }
    copied.into()
}

fn place_of(parts: &[(u64, usize, Bytes)], byte: usize, stream: Source) -> Key {
    let mut start = 0;
    for (seq, place, bytes) in parts {
        if byte < start + bytes.len() {
            return (*seq, place + byte - start, stream);
        }
        start += bytes.len();
    }
    (0, 0, stream)
}

#[cfg(test)]
mod properties {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        log::{ChildLines, Chunk, Lines},
        types::Turn,
    };

    #[derive(Clone, Debug)]
    enum Event {
        Chunk(u64, Source, Vec<u8>),
        Closed(u64),
        Hole,
    }

    fn event() -> impl Strategy<Value = Event> {
        let stream = prop_oneof![4 => Just(Source::Stdout), 2 => Just(Source::Stderr), 1 => Just(Source::Extra(3))];
        let byte = prop_oneof![1 => Just(b'\n'), 3 => Just(b'x'), 1 => Just(b'y')];
        prop_oneof![
            8 => (0_u64..2, stream, proptest::collection::vec(byte, 1..20))
                .prop_map(|(child, stream, bytes)| Event::Chunk(child, stream, bytes)),
            1 => (0_u64..2).prop_map(Event::Closed),
            1 => Just(Event::Hole),
        ]
    }

    proptest! {
        #[test]
        fn backwards_gives_what_forwards_gives_last(
            events in proptest::collection::vec(event(), 0..40),
            count in 0_usize..12,
            longest in 1_usize..30,
        ) {
            let child = ChildId(0);
            let entries: Vec<_> = (0..).zip(events).map(|(seq, event)| {
                let entry = |child, fact| Some(Entry {
                    seq: Seq(seq), turn: Turn(0), child: ChildId(child), fact,
                });
                let of = match event {
                    Event::Chunk(child, stream, bytes) => entry(child, Fact::Chunk(Chunk {
                        stream, bytes: bytes.into(), after_exit: false, writer: None,
                    })),
                    Event::Closed(child) => entry(child, Fact::Closed),
                    Event::Hole => None,
                };
                (Seq(seq), of)
            }).collect();
            let mut forwards = ChildLines::new(Lines::default().longest(longest));
            let mut last = VecDeque::new();
            let mut keep = |line| {
                last.push_back(line);
                if last.len() > count {
                    last.pop_front();
                }
            };
            for (_, entry) in &entries {
                match entry {
                    Some(entry) if entry.child == child => forwards.push(&entry.fact, &mut keep),
                    Some(_) => {}
                    None => forwards.finish(&mut keep),
                }
            }
            forwards.finish(keep);
            let mut backwards = LastLines::of_at_most(child, count, longest);
            for (seq, entry) in entries.iter().rev() {
                let more = match entry {
                    Some(entry) => backwards.take(entry),
                    None => {
                        backwards.cut(*seq);
                        backwards.more()
                    }
                };
                if !more {
                    break;
                }
            }
            prop_assert_eq!(backwards.finish(), Vec::from(last));
        }
    }
}
