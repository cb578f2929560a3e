//! `Wakers` and `WaitList`: wakers are foreign code, so they are taken under a lock and woken after
//! it, each contained by itself.

use std::{collections::BTreeMap, mem, task::Waker};

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
    waiting: BTreeMap<u64, Waker>,
}

impl WaitList {
    /// Leaves a waker, in the place of the one that `key` names. Returns that one: it must be
    /// dropped outside the lock.
    pub(crate) fn leave(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let earlier = key.and_then(|key| self.waiting.get_mut(&key));
        if let Some(earlier) = earlier {
            return Some(mem::replace(earlier, waker));
        }
        *key = Some(self.next);
        self.waiting.insert(self.next, waker);
        self.next += 1;
        None
    }

    /// Takes back what `key` names.
    pub(crate) fn forget(&mut self, key: u64) -> Option<Waker> {
        self.waiting.remove(&key)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all of them.
    pub(crate) fn take(&mut self) -> Wakers {
        let mut wakers = Wakers::default();
        wakers.extend(mem::take(&mut self.waiting).into_values());
        wakers
    }
}
