//! Buffer groups: the memory that the kernel picks from when a read completes.

use std::{
    alloc::{self, Layout},
    io,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{Submitter, types::BufRingEntry};

/// The registered ring of one buffer group. Entry `tail & mask` is the next one to fill.
#[derive(Debug)]
pub(super) struct BufferRing {
    memory: NonNull<BufRingEntry>,
    layout: Layout,
    entries: u16,
    tail: u16,
    pub(super) group: u16,
}

impl BufferRing {
    /// Registers a group of `entries` places, a power of two.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        entries: u16,
    ) -> io::Result<Self> {
        let size = usize::from(entries) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(size, 4096).map_err(io::Error::other)?;
        // SAFETY: the layout's size is not zero: every caller asks for at least one entry.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        let ring = BufferRing { memory, layout, entries, tail: 0, group };
        // SAFETY: the memory is page-aligned, holds `entries` entries, and outlives the ring: the
        // driver drops its io_uring, and with it the registration, before its buffer rings.
        unsafe {
            submitter.register_buf_ring_with_flags(memory.as_ptr() as u64, entries, group, 0)?;
        }
        Ok(ring)
    }

    /// Puts a buffer into the next place. The kernel sees it after `publish`.
    ///
    /// # Safety
    ///
    /// `memory` must stay valid for writes of `len` bytes, and untouched by us, until a completion
    /// gives the buffer `id` back or the io_uring is gone. At most `entries` may be in at a time.
    pub(super) unsafe fn provide(&mut self, id: u16, memory: *mut u8, len: u32) {
        let place = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `place` is below `entries`. The kernel reads an entry only below the published
        // tail, and this one is at or above it. `resv` of entry 0, the tail, is not touched.
        let entry = unsafe { &mut *self.memory.as_ptr().add(place) };
        entry.set_addr(memory as u64);
        entry.set_len(len);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was provided.
    pub(super) fn publish(&self) {
        // SAFETY: the ring's first entry is initialised memory of this ring, and its tail field is
        // an aligned u16 that only this thread writes; the kernel reads it with acquire.
        let tail =
            unsafe { &*BufRingEntry::tail(self.memory.as_ptr()).cast_mut().cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout; the registration is gone (see `register`).
        unsafe { alloc::dealloc(self.memory.as_ptr().cast(), self.layout) };
    }
}

/// A group of equal small buffers whose content is copied out, so that each is free again at once.
#[derive(Debug)]
pub(super) struct CopyGroup {
    ring: BufferRing,
    memory: NonNull<u8>,
    layout: Layout,
    len: usize,
    /// Buffers that the kernel does not have.
    free: Vec<u16>,
}

impl CopyGroup {
    pub(super) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        entries: u16,
        len: usize,
    ) -> io::Result<Self> {
        let ring = BufferRing::register(submitter, group, entries)?;
        let size = usize::from(entries) * len;
        let layout = Layout::from_size_align(size, 4096).map_err(io::Error::other)?;
        // SAFETY: the layout's size is not zero: callers ask for at least one byte.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        Ok(CopyGroup { ring, memory, layout, len, free: (0..entries).rev().collect() })
    }

    pub(super) fn group(&self) -> u16 {
        self.ring.group
    }

    /// Bytes that the kernel may fill before it returns a buffer.
    pub(super) fn provided(&self) -> usize {
        (usize::from(self.ring.entries) - self.free.len()) * self.len
    }

    /// Provides free buffers as long as they fit into `room`.
    pub(super) fn provide(&mut self, room: usize) {
        let count = (room / self.len).min(self.free.len());
        for _ in 0..count {
            let Some(id) = self.free.pop() else { break };
            // SAFETY: `id` is below `entries`, so the place is inside the allocation.
            let memory = unsafe { self.memory.as_ptr().add(usize::from(id) * self.len) };
            // SAFETY: the allocation lives until this group is dropped, after the io_uring; a
            // provided buffer is read again only after its completion (`content`).
            unsafe { self.ring.provide(id, memory, self.len as u32) };
        }
        if count > 0 {
            self.ring.publish();
        }
    }

    /// Takes back the buffer `id`, which a completion named and did not fill.
    pub(super) fn unused(&mut self, id: u16) {
        self.free.push(id);
    }

    /// Takes back the buffer `id`, which a completion named, and returns its first `len` bytes.
    pub(super) fn content(&mut self, id: u16, len: usize) -> &[u8] {
        self.free.push(id);
        // SAFETY: the kernel gave the buffer back with `len` bytes in it (at most its length), and
        // gets it again only by `provide`, for which the borrow of `self` must have ended.
        unsafe {
            let place = self.memory.as_ptr().add(usize::from(id) * self.len);
            &*ptr::slice_from_raw_parts(place, len.min(self.len))
        }
    }
}

impl Drop for CopyGroup {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout; the io_uring is gone by now.
        unsafe { alloc::dealloc(self.memory.as_ptr(), self.layout) };
    }
}
