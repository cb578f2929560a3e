//! Foreign code: runs the host's `tracing` layers, handlers, destructors and wakers, so that no
//! panic of theirs reaches the library's bookkeeping.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::trace;

/// The message of a panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// Runs code that is not the library's own. A panic of that code is logged and goes no further.
pub(crate) fn contain<R>(whose: impl fmt::Display, run: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => Some(done),
        Err(panic) => {
            // `whose` may print a foreign value: it prints inside the event's own guard.
            trace::error!(message = message_of(&*panic), "{whose} panicked");
            dispose(panic);
            None
        }
    }
}

/// As [`contain`], for what the library reports to its host: a panic there cannot be reported.
pub(crate) fn contain_silently<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).map_err(dispose).ok()
}

/// Drops a panic's payload, which can panic once more.
pub(crate) fn dispose(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        mem::forget(another);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }

    struct Riddle;

    impl fmt::Display for Riddle {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::panic_any(Bomb)
        }
    }

    #[test]
    fn neither_the_payload_of_a_panic_nor_the_name_of_its_owner_gets_out() {
        assert_eq!(contain(Riddle, || -> u8 { std::panic::panic_any(Bomb) }), None);
        assert_eq!(contain(Riddle, || 7), Some(7));
    }
}
