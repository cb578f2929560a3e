//! `Sticky`: a value that is set once and that many tasks wait for. All wakers are woken even if
//! one of them panics, which tokio's `SetOnce` does not promise.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
};

use super::{WaitList, wakers::drop_contained};

/// See the module.
pub(crate) struct Sticky<T> {
    value: OnceLock<T>,
    waiting: Mutex<WaitList>,
}

impl<T> Sticky<T> {
    pub(crate) fn new() -> Self {
        Sticky { value: OnceLock::new(), waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitList> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the value and wakes all waiting tasks; a second value is ignored.
    pub(crate) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            // The lock is released before the wakers run.
            let wakers = self.waiting().take();
            drop(wakers);
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Waits for the value.
    pub(crate) fn wait(&self) -> Waiting<'_, T> {
        Waiting { sticky: self, key: None }
    }
}

impl<T> fmt::Debug for Sticky<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sticky({})", if self.value.get().is_some() { "set" } else { "unset" })
    }
}

/// Waits for a sticky value.
#[derive(Debug)]
pub(crate) struct Waiting<'a, T> {
    sticky: &'a Sticky<T>,
    key: Option<u64>,
}

impl<'a, T> Future for Waiting<'a, T> {
    type Output = &'a T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'a T> {
        let sticky = self.sticky;
        if let Some(value) = sticky.get() {
            return Poll::Ready(value);
        }
        let waker = context.waker().clone();
        let replaced = {
            let mut waiting = sticky.waiting();
            // `set` stores the value first, and then takes the wakers under this lock.
            match sticky.get() {
                Some(_) => Some(waker),
                None => waiting.leave(&mut self.key, waker),
            }
        };
        drop(replaced);
        match sticky.get() {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let forgotten = self.sticky.waiting().forget(key);
            drop_contained(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Wake, Waker},
    };

    use super::*;

    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("injected: a waker");
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_being_woken() {
        let sticky = Sticky::new();
        let counts = Arc::new(Counts(AtomicUsize::new(0)));
        let wakers = [
            Waker::from(Arc::clone(&counts)),
            Waker::from(Arc::new(Panics)),
            Waker::from(Arc::clone(&counts)),
        ];
        let mut waiting = Vec::from_iter(wakers.iter().map(|_| Box::pin(sticky.wait())));
        for (future, waker) in waiting.iter_mut().zip(&wakers) {
            assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        sticky.set(7);
        assert_eq!((counts.0.load(SeqCst), sticky.get()), (2, Some(&7)));
    }

    #[test]
    fn who_goes_away_leaves_nothing_and_a_second_value_is_ignored() {
        let sticky = Sticky::new();
        {
            let mut gone = pin!(sticky.wait());
            assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(sticky.waiting().is_empty());
        sticky.set(1);
        sticky.set(2);
        assert_eq!(sticky.get(), Some(&1));
    }
}
