//! `PipeDriver`: what a back-end that reads pipes has to provide.

use std::{collections::VecDeque, fmt, io, sync::Arc, thread::Thread};

use bytes::Bytes;

use super::PipeEnd;
use crate::{ChildId, Source};

/// What a pipe is to its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PipeKind {
    /// It carries output.
    Output(Source),
    /// It carries the waiter's one record of the exit.
    Status,
    /// It carries what the child reads: the driver has the write end.
    Input,
}

/// Names a pipe context by its child and its kind, never by a descriptor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipeKey {
    pub(crate) child: ChildId,
    pub(crate) kind: PipeKind,
}

/// A driver's own name for a pipe that it reads: a slot, and the slot's generation. So a late
/// completion is never taken for one of the slot's next pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PipeToken {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What a driver found on a pipe.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) key: PipeKey,
    pub(crate) what: PipeEvent,
}

/// What a completion brings.
#[derive(Debug)]
pub(crate) enum PipeEvent {
    /// Bytes, in the pipe's order.
    Bytes(Bytes),
    /// Bytes, and the process that wrote them, if the context tells it.
    From(Option<i32>, Bytes),
    /// The end: no process holds the other side any more. The driver has let go of the pipe.
    End,
    /// The pipe cannot be read or written. The driver has let go of it.
    Failed(io::Error),
    /// This many bytes of the buffer in hand were written.
    Written(usize),
}

/// What a failed driver hands over to the next one.
#[derive(Debug)]
pub(crate) enum Held {
    /// A context that the driver read.
    Reader(PipeKey, PipeEnd),
    /// A pipe that the driver wrote to, and the buffer in hand, of which nothing was written.
    Writer(PipeKey, PipeEnd, Option<Bytes>),
}

/// Reads pipes. See the module's contract.
pub(crate) trait PipeDriver: fmt::Debug {
    /// Starts reading a context.
    fn add(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken;

    /// Stops reading a pipe and closes it, now or when its last read in flight has come back.
    fn remove(&mut self, token: PipeToken);

    /// Reads no more from a pipe until it is resumed; what a read in flight brings is still found.
    fn pause(&mut self, token: PipeToken);

    /// Reads a paused pipe again.
    fn resume(&mut self, token: PipeToken);

    /// Takes the write end of a pipe.
    fn add_writer(&mut self, key: PipeKey, end: PipeEnd) -> PipeToken;

    /// Writes to a pipe that was added as a writer, one buffer at a time: the next one when
    /// [`PipeEvent::Written`] says how much of this one the pipe took.
    fn write(&mut self, token: PipeToken, bytes: Bytes);

    /// Closes a writer, now or when its last write in flight has come back.
    fn remove_writer(&mut self, token: PipeToken);

    /// The read end, while the driver reads it.
    fn pipe(&self, token: PipeToken) -> Option<&PipeEnd>;

    /// Polls this pipe in the next turn, even if it was quiet for long.
    fn poll_soon(&mut self, token: PipeToken);

    /// Whether the driver finds an exit late unless it is told.
    fn needs_poll_soon(&self) -> bool;

    /// One turn: reads what the pipes hold into `found`, at most about `room` bytes of output
    /// (records are always read). The only place that may sleep, and only if `sleep` is true.
    fn turn(&mut self, sleep: bool, room: u64, found: &mut VecDeque<Completion>) -> io::Result<()>;

    /// After a failed turn: puts what it has read into `found` and all its pipes into `held`. From
    /// then on it does nothing more. Returns false if no other driver could do better.
    fn give_up(&mut self, found: &mut VecDeque<Completion>, held: &mut VecDeque<Held>) -> bool;

    /// Ends the sleep of `turn` from another thread.
    fn waker(&self) -> LoopWaker;
}

/// Ends the read loop's sleep.
#[derive(Clone, Debug)]
pub(crate) enum LoopWaker {
    /// By a write to an eventfd that the ring reads.
    #[cfg(target_os = "linux")]
    EventFd(Arc<nix::sys::eventfd::EventFd>),
    /// By unparking the thread.
    Thread(Thread),
}

impl LoopWaker {
    pub(crate) fn wake(&self) {
        match self {
            // It can only fail if its counter is full, and then the loop wakes anyway.
            #[cfg(target_os = "linux")]
            LoopWaker::EventFd(event) => drop(event.write(1)),
            LoopWaker::Thread(thread) => thread.unpark(),
        }
    }
}

/// A table of slots with generations. It grows by pages and never moves its values: nothing is
/// copied while children wait, and no more memory is taken than is needed.
#[derive(Debug)]
pub(super) struct Slots<T> {
    pages: Vec<Box<Page<T>>>,
    free: Vec<u32>,
    /// Set in the generation of each of its tokens, so that no other driver's token is found here.
    mark: u32,
}

/// Slots in a page.
const PAGE: usize = 64;

type Page<T> = [(u32, Option<T>); PAGE];

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots::marked(0)
    }
}

impl<T> Slots<T> {
    pub(super) fn marked(mark: u32) -> Self {
        Slots { pages: Vec::new(), free: Vec::new(), mark }
    }

    /// Takes all its values.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> {
        let pages = std::mem::take(&mut self.pages);
        self.free.clear();
        pages.into_iter().flat_map(|page| *page).filter_map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, value: T) -> PipeToken {
        let slot = self.free.pop().unwrap_or_else(|| {
            let first = self.pages.len() * PAGE;
            self.pages.push(Box::new([const { (0, None) }; PAGE]));
            self.free.extend((first + 1..first + PAGE).rev().map(|slot| slot as u32));
            first as u32
        });
        let (generation, place) = &mut self.pages[slot as usize / PAGE][slot as usize % PAGE];
        *place = Some(value);
        PipeToken { slot, generation: *generation | self.mark }
    }

    pub(super) fn get(&self, token: PipeToken) -> Option<&T> {
        let page = self.pages.get(token.slot as usize / PAGE)?;
        let (generation, value) = &page[token.slot as usize % PAGE];
        if *generation | self.mark == token.generation { value.as_ref() } else { None }
    }

    /// The token's slot, unless it was reused.
    fn slot_mut(&mut self, token: PipeToken) -> Option<&mut (u32, Option<T>)> {
        let page = self.pages.get_mut(token.slot as usize / PAGE)?;
        let slot = &mut page[token.slot as usize % PAGE];
        (slot.0 | self.mark == token.generation).then_some(slot)
    }

    pub(super) fn get_mut(&mut self, token: PipeToken) -> Option<&mut T> {
        self.slot_mut(token)?.1.as_mut()
    }

    pub(super) fn remove(&mut self, token: PipeToken) -> Option<T> {
        let (generation, place) = self.slot_mut(token)?;
        let value = place.take()?;
        // A ring carries only 24 bits of a token's generation.
        *generation = (*generation + 1) & 0x00FF_FFFF;
        self.free.push(token.slot);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_driver_is_not_found() {
        let (mut one, mut other) = (Slots::default(), Slots::marked(1 << 31));
        let (token, same_place) = (one.insert('a'), other.insert('b'));
        assert_eq!(token.slot, same_place.slot);
        assert_eq!(other.get(token), None);
        assert_eq!(other.remove(token), None);
        assert_eq!(other.take_all().collect::<Vec<_>>(), ['b']);
    }

    #[test]
    fn a_reused_slot_is_not_found_by_the_old_token() {
        let mut slots = Slots::default();
        let old = slots.insert('a');
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b');
        assert_eq!((old.slot, slots.get(old), slots.get(new)), (new.slot, None, Some(&'b')));
    }
}
