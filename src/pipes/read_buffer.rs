//! Read buffers: the memory of large reads, reused when the last chunk that shares one is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The length of a read buffer: a default pipe's whole content.
pub(crate) const READ_BUFFER_LEN: usize = 64 * 1024;

/// The most read buffers kept for reuse; the allocator gets the rest.
const KEPT: usize = 12;

/// A pool of read buffers. The last one returned is taken first: its lines are still in the cache.
#[derive(Debug, Default)]
pub(crate) struct ReadBufferPool {
    free: Mutex<Vec<Box<[u8]>>>,
}

impl ReadBufferPool {
    pub(crate) fn take(self: &Arc<Self>) -> ReadBuffer {
        let memory = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        ReadBuffer {
            memory: memory.unwrap_or_else(|| vec![0; READ_BUFFER_LEN].into_boxed_slice()),
            filled: 0,
            pool: Arc::clone(self),
        }
    }
}

/// One read buffer, owned until it is frozen into shared bytes.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    memory: Box<[u8]>,
    filled: usize,
    pool: Arc<ReadBufferPool>,
}

impl ReadBuffer {
    /// The whole memory, for a read to land in.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// The first `len` bytes as a shared slice. The last clone returns the read buffer to its pool.
    pub(crate) fn freeze(mut self, len: usize) -> Bytes {
        self.filled = len;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.filled]
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_returns_to_its_pool_with_the_last_slice() {
        let pool = Arc::new(ReadBufferPool::default());
        let mut read_buffer = pool.take();
        read_buffer.memory()[..3].copy_from_slice(b"abc");
        let bytes = read_buffer.freeze(3);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&part[..], pool.free.lock().unwrap().len()), (&b"bc"[..], 0));
        drop(part);
        assert_eq!(pool.free.lock().unwrap().len(), 1);
    }
}
