//! `Wakers` and `WaitList`: wakers are foreign code, so they are taken under a lock and woken after
//! its release, each contained by itself.

use std::{collections::BTreeMap, mem, task::Waker};

use smallvec::SmallVec;

use super::contain;

/// Wakers that were taken from under a lock. Its drop wakes them: let it outlive the guard.
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

/// Drops a value whose drop may run foreign code.
pub(crate) fn drop_contained<T>(value: T) {
    contain("a destructor", || drop(value));
}

/// The tasks that wait for one thing. Each names its entry by a key that it keeps.
///
/// Boxed: each child has two lists, and most stay empty.
#[derive(Debug, Default)]
pub(crate) struct WaitList(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl WaitList {
    /// Leaves a waker, in place of the earlier one of `key`. Returns the earlier one: drop it
    /// outside the lock.
    pub(crate) fn leave(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let waiting = self.0.get_or_insert_default();
        let earlier = key.and_then(|key| waiting.wakers.get_mut(&key));
        if let Some(earlier) = earlier {
            return Some(mem::replace(earlier, waker));
        }
        *key = Some(waiting.next);
        waiting.wakers.insert(waiting.next, waker);
        waiting.next += 1;
        None
    }

    /// Removes and returns the waker of `key`.
    pub(crate) fn forget(&mut self, key: u64) -> Option<Waker> {
        self.0.as_mut()?.wakers.remove(&key)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|waiting| waiting.wakers.is_empty())
    }

    /// Takes all wakers.
    pub(crate) fn take(&mut self) -> Wakers {
        let mut wakers = Wakers::default();
        // The keys go on: a later one must not name another's place.
        if let Some(waiting) = &mut self.0 {
            wakers.extend(mem::take(&mut waiting.wakers).into_values());
        }
        wakers
    }
}
