//! `Wakers` and `WaitList`: wakers are foreign code, so they are taken under a lock and woken after
//! it, each contained by itself.

use std::task::Waker;

use smallvec::SmallVec;

use super::contain;

/// Wakers that were taken out of what a lock protects. Its drop wakes them: let it outlive the guard.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakers(SmallVec<[Waker; 1]>);

impl Extend<Waker> for Wakers {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        self.0.extend(wakers);
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        for waker in self.0.drain(..) {
            contain("a waker", || waker.wake());
        }
    }
}

/// Drops what may run foreign code.
pub(crate) fn drop_contained<T>(value: T) {
    contain("a destructor", || drop(value));
}

/// Those who wait for one thing. Each names its place by a key that it keeps.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl WaitList {
    /// Leaves a waker, in the place of the one that `key` names. Gives that one back: it must be
    /// dropped outside the lock.
    pub(crate) fn leave(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let same = self.waiting.iter_mut().find(|(its, _)| Some(*its) == *key);
        if let Some((_, earlier)) = same {
            return Some(std::mem::replace(earlier, waker));
        }
        *key = Some(self.next);
        self.waiting.push((self.next, waker));
        self.next += 1;
        None
    }

    /// Takes back what `key` names.
    pub(crate) fn forget(&mut self, key: u64) -> Option<Waker> {
        let place = self.waiting.iter().position(|(its, _)| *its == key)?;
        Some(self.waiting.swap_remove(place).1)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all of them.
    pub(crate) fn take(&mut self) -> Wakers {
        let mut wakers = Wakers::default();
        wakers.extend(std::mem::take(&mut self.waiting).into_iter().map(|(_, waker)| waker));
        wakers
    }
}
