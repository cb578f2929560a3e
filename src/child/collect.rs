//! The output of one child as bytes.

use crate::{
    Stream,
    log::{ChildExited, Chunk, Entry, Fact},
};

/// All that one child wrote to its standard streams until its exit.
#[derive(Clone, Debug)]
pub struct CollectedOutput {
    /// Its exit.
    pub exit: ChildExited,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Bytes that the log had already dropped when the output was asked for.
    pub missing: u64,
}

/// The chunks of one child, shared with the log until they are put together.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    chunks: Vec<Chunk>,
    bytes: u64,
}

impl Collector {
    /// Takes a chunk that came before the exit.
    pub(crate) fn push(&mut self, chunk: &Chunk) {
        if !chunk.after_exit {
            self.bytes += chunk.bytes.len() as u64;
            self.chunks.push(chunk.clone());
        }
    }

    /// Takes an entry of this child.
    pub(crate) fn take(&mut self, entry: &Entry) {
        if let Fact::Chunk(chunk) = &entry.fact {
            self.push(chunk);
        }
    }

    /// Puts the chunks together.
    pub(crate) fn finish(self, exit: ChildExited) -> CollectedOutput {
        let together = |stream: Stream| {
            let of_stream = self.chunks.iter().filter(|chunk| chunk.stream == stream);
            of_stream.map(|chunk| &chunk.bytes[..]).collect::<Vec<_>>().concat()
        };
        CollectedOutput {
            stdout: together(Stream::Stdout),
            stderr: together(Stream::Stderr),
            missing: exit.output_bytes.saturating_sub(self.bytes),
            exit,
        }
    }
}
