//! Gathers small reads: those of one pipe that follow each other become one chunk.

use std::sync::Arc;

use bytes::Bytes;

use super::{SLAB_LEN, Slab, SlabPool};

/// Turns what was read into shared chunks. Small reads are copied, those in a row behind each other,
/// into memory of their chunk's own: who keeps a chunk keeps at most twice its bytes. A read that
/// fills most of a slab is handed over as it is, without a copy.
#[derive(Debug)]
pub(crate) struct Gather<K> {
    pool: Arc<SlabPool>,
    current: Vec<u8>,
    run: Option<K>,
}

impl<K> Default for Gather<K> {
    fn default() -> Self {
        Gather { pool: Arc::default(), current: Vec::new(), run: None }
    }
}

impl<K: Copy + PartialEq> Gather<K> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A slab for a large read.
    pub(crate) fn slab(&self) -> Slab {
        self.pool.take()
    }

    /// Takes the `len` bytes that were read into `slab` from the pipe `key`. Gives the slab back
    /// where they were few enough to copy.
    pub(crate) fn take_slab(
        &mut self,
        key: K,
        mut slab: Slab,
        len: usize,
        emit: &mut impl FnMut(K, Bytes),
    ) -> Option<Slab> {
        if len < SLAB_LEN / 2 {
            self.copy(key, &slab.memory()[..len], emit);
            return Some(slab);
        }
        self.flush(emit);
        emit(key, slab.freeze(len));
        None
    }

    /// Copies `bytes`, read from the pipe `key`.
    pub(crate) fn copy(&mut self, key: K, bytes: &[u8], emit: &mut impl FnMut(K, Bytes)) {
        let together = self.current.len() + bytes.len();
        if self.run != Some(key) || together > SLAB_LEN {
            self.flush(emit);
            self.current.reserve_exact(bytes.len());
        } else if together > self.current.capacity() {
            let doubled = (2 * self.current.capacity()).min(SLAB_LEN);
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
        let mut gather = Gather::new();
        let mut chunks = Vec::new();
        let mut emit = |key: u8, bytes: Bytes| chunks.push((key, bytes.to_vec()));
        gather.copy(1, b"a", &mut emit);
        gather.copy(1, b"b", &mut emit);
        gather.copy(2, b"c", &mut emit);
        let mut slab = gather.slab();
        slab.memory().fill(b'x');
        assert!(gather.take_slab(1, slab, SLAB_LEN, &mut emit).is_none());
        gather.copy(1, b"d", &mut emit);
        gather.flush(&mut emit);
        let expected: [(u8, Vec<u8>); 4] = [
            (1, b"ab".to_vec()),
            (2, b"c".to_vec()),
            (1, vec![b'x'; SLAB_LEN]),
            (1, b"d".to_vec()),
        ];
        assert_eq!(chunks, expected);
    }
}
