//! Collecting: the log passes each new entry to the collectors of its child's output, so that no
//! bound of the log loses any of it.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Chunk, Entry, Fact, MergedLog};
use crate::{ChildId, Seq, Source};

/// Chunks below this size are copied together: keeping one alone would cost more than its bytes.
const SMALL: usize = 4 * 1024;

/// Small chunks are copied into blocks of this size, which never move.
const BLOCK: usize = 64 * 1024;

/// One stream's bytes, in parts.
#[derive(Debug, Default)]
struct Parts {
    whole: Vec<Bytes>,
    /// The block that small chunks are copied into now.
    block: Vec<u8>,
    len: usize,
}

impl Parts {
    fn push(&mut self, bytes: &Bytes) {
        self.len += bytes.len();
        if bytes.len() >= SMALL {
            self.end_block();
            self.whole.push(bytes.clone());
            return;
        }
        if self.block.len() + bytes.len() > BLOCK {
            self.end_block();
        }
        self.block.extend_from_slice(bytes);
    }

    fn end_block(&mut self) {
        if !self.block.is_empty() {
            self.whole.push(std::mem::take(&mut self.block).into());
        }
    }

    fn append(&mut self, mut later: Parts) {
        self.end_block();
        self.len += later.len;
        self.whole.append(&mut later.whole);
        self.block = later.block;
    }
}

/// A child's output until its exit, shared with the log or copied.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    stdout: Parts,
    stderr: Parts,
    /// The bytes of all streams.
    pub(crate) bytes: u64,
    /// The child has exited: later output is not collected.
    ended: bool,
}

impl Collected {
    /// Takes an entry of the child.
    pub(crate) fn take(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::Chunk(chunk) if !self.ended && !chunk.after_exit => self.push(chunk),
            Fact::Exited(_) => self.ended = true,
            Fact::Chunk(_) | Fact::Spawned { .. } | Fact::Closed => {}
        }
    }

    fn push(&mut self, Chunk { stream, bytes, .. }: &Chunk) {
        self.bytes += bytes.len() as u64;
        match stream {
            Source::Stdout => self.stdout.push(bytes),
            Source::Stderr => self.stderr.push(bytes),
            // Only counted: a collector returns standard output and standard error.
            Source::Extra(_) => {}
        }
    }

    /// Adds output that was collected later.
    pub(crate) fn append(&mut self, later: Collected) {
        self.bytes += later.bytes;
        self.stdout.append(later.stdout);
        self.stderr.append(later.stderr);
    }

    /// Joins each stream's parts, in steps, and awaits `pause` between the steps.
    pub(crate) async fn join<F: Future>(self, mut pause: impl FnMut() -> F) -> (Vec<u8>, Vec<u8>) {
        (join(self.stdout, &mut pause).await, join(self.stderr, &mut pause).await)
    }
}

/// The number of bytes that a step copies.
const STEP: usize = 1024 * 1024;

async fn join<F: Future>(mut parts: Parts, pause: &mut impl FnMut() -> F) -> Vec<u8> {
    parts.end_block();
    let mut joined = Vec::with_capacity(parts.len);
    let mut done = 0;
    // Each part is freed as soon as it is copied.
    for bytes in parts.whole {
        joined.extend_from_slice(&bytes);
        done += bytes.len();
        if done >= STEP {
            done = 0;
            drop(bytes);
            pause().await;
        }
    }
    joined
}

/// Names a collector of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CollectorId(u64);

/// The collectors of each child.
#[derive(Debug, Default)]
pub(super) struct Collectors {
    of: HashMap<ChildId, Vec<(CollectorId, Collected)>>,
    next: u64,
}

impl Collectors {
    pub(super) fn feed(&mut self, entries: &[Entry]) {
        if self.of.is_empty() {
            return;
        }
        for entry in entries {
            for (_, collected) in self.of.get_mut(&entry.child).into_iter().flatten() {
                collected.take(entry);
            }
        }
    }
}

impl MergedLog {
    /// Collects this child's output from the log's end on, and returns that end. Until
    /// [`unpin`](MergedLog::unpin) the log drops nothing from `from` on.
    pub(crate) fn collect(&mut self, child: ChildId, from: Option<Seq>) -> (CollectorId, Seq) {
        let id = CollectorId(self.collectors.next);
        self.collectors.next += 1;
        self.collectors.of.entry(child).or_default().push((id, Collected::default()));
        if let Some(from) = from.filter(|from| *from < self.end) {
            self.pins.push((id, from));
        }
        (id, self.end)
    }

    /// The collector's history has been read up to here.
    pub(crate) fn history_read(&mut self, id: CollectorId, next: Seq) {
        if let Some((_, pin)) = self.pins.iter_mut().find(|(its, _)| *its == id) {
            *pin = next;
        }
    }

    /// The collector's history has been read completely.
    pub(crate) fn unpin(&mut self, id: CollectorId) {
        self.pins.retain(|(its, _)| *its != id);
        self.trim();
    }

    /// Returns what was collected, and stops collecting.
    pub(crate) fn take_collected(&mut self, child: ChildId, id: CollectorId) -> Option<Collected> {
        let collectors = self.collectors.of.get_mut(&child)?;
        let place = collectors.iter().position(|(its, _)| *its == id)?;
        let (_, collected) = collectors.swap_remove(place);
        if collectors.is_empty() {
            self.collectors.of.remove(&child);
        }
        self.pins.retain(|(its, _)| *its != id);
        Some(collected)
    }
}
