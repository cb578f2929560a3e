//! Collecting: the log feeds what it appends to those who collect one child's output, so that no
//! bound of the log loses any of it.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Chunk, Entry, Fact, MergedLog};
use crate::{ChildId, Seq, Source};

/// Chunks below this are copied behind each other: each would cost more to keep than its bytes.
const SMALL: usize = 4 * 1024;

/// Small chunks are copied into blocks of this length, which never move.
const BLOCK: usize = 64 * 1024;

/// One stream's bytes, in parts.
#[derive(Debug, Default)]
struct Parts {
    whole: Vec<Bytes>,
    /// The block in hand.
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
    /// Of every stream.
    pub(crate) bytes: u64,
    /// The child has exited: no more is taken.
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
            // It is only counted: nobody asks for it.
            Source::Extra(_) => {}
        }
    }

    /// Adds what came later.
    pub(crate) fn append(&mut self, later: Collected) {
        self.bytes += later.bytes;
        self.stdout.append(later.stdout);
        self.stderr.append(later.stderr);
    }

    /// Puts each stream together, in steps: `pause` is awaited between them.
    pub(crate) async fn join<F: Future>(self, mut pause: impl FnMut() -> F) -> (Vec<u8>, Vec<u8>) {
        (join(self.stdout, &mut pause).await, join(self.stderr, &mut pause).await)
    }
}

/// So much is put together at a time.
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

/// Who collects.
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
    /// Collects this child's output from the log's end on, and gives that place. Until
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

    /// Its history has been read whole.
    pub(crate) fn unpin(&mut self, id: CollectorId) {
        self.pins.retain(|(its, _)| *its != id);
        self.trim();
    }

    /// Takes what was collected, and collects no more.
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
