//! Gathers small reads: consecutive reads of one pipe become one chunk.

use std::sync::Arc;

use bytes::Bytes;

use super::{READ_BUFFER_LEN, ReadBuffer, ReadBufferPool};

/// Turns the bytes of reads into shared chunks. Consecutive small reads are copied into their
/// chunk's own memory, so that a chunk keeps at most twice its bytes. A read that fills most of a
/// read buffer is handed over as it is, without a copy.
#[derive(Debug)]
pub(crate) struct Coalescer<K> {
    pool: Arc<ReadBufferPool>,
    current: Vec<u8>,
    run: Option<K>,
}

impl<K> Default for Coalescer<K> {
    fn default() -> Self {
        Coalescer { pool: Arc::default(), current: Vec::new(), run: None }
    }
}

impl<K: Copy + PartialEq> Coalescer<K> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A read buffer for a large read.
    pub(crate) fn read_buffer(&self) -> ReadBuffer {
        self.pool.take()
    }

    /// Takes the `len` bytes that were read into `read_buffer` from the pipe `key`. Returns the
    /// read buffer if the bytes were few enough to copy.
    pub(crate) fn take_slab(
        &mut self,
        key: K,
        mut read_buffer: ReadBuffer,
        len: usize,
        emit: &mut impl FnMut(K, Bytes),
    ) -> Option<ReadBuffer> {
        if len < READ_BUFFER_LEN / 2 {
            self.copy(key, &read_buffer.memory()[..len], emit);
            return Some(read_buffer);
        }
        self.flush(emit);
        emit(key, read_buffer.freeze(len));
        None
    }

    /// Copies `bytes`, read from the pipe `key`.
    pub(crate) fn copy(&mut self, key: K, bytes: &[u8], emit: &mut impl FnMut(K, Bytes)) {
        let together = self.current.len() + bytes.len();
        if self.run != Some(key) || together > READ_BUFFER_LEN {
            self.flush(emit);
            self.current.reserve_exact(bytes.len());
        } else if together > self.current.capacity() {
            let doubled = (2 * self.current.capacity()).min(READ_BUFFER_LEN);
            self.current.reserve_exact(together.max(doubled) - self.current.len());
        }
        self.current.extend_from_slice(bytes);
        self.run = Some(key);
    }

    /// Emits the chunk that is being gathered.
    pub(crate) fn flush(&mut self, emit: &mut impl FnMut(K, Bytes)) {
        if let Some(key) = self.run.take() {
            emit(key, std::mem::take(&mut self.current).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_of_one_pipe_in_a_row_become_one_chunk_and_keep_their_order() {
        let mut coalescer = Coalescer::new();
        let mut chunks = Vec::new();
        let mut emit = |key: u8, bytes: Bytes| chunks.push((key, bytes.to_vec()));
        coalescer.copy(1, b"a", &mut emit);
        coalescer.copy(1, b"b", &mut emit);
        coalescer.copy(2, b"c", &mut emit);
        let mut read_buffer = coalescer.read_buffer();
        read_buffer.memory().fill(b'x');
        assert!(coalescer.take_slab(1, read_buffer, READ_BUFFER_LEN, &mut emit).is_none());
        coalescer.copy(1, b"d", &mut emit);
        coalescer.flush(&mut emit);
        let expected: [(u8, Vec<u8>); 4] = [
            (1, b"ab".to_vec()),
            (2, b"c".to_vec()),
            (1, vec![b'x'; READ_BUFFER_LEN]),
            (1, b"d".to_vec()),
        ];
        assert_eq!(chunks, expected);
    }
}
