//! The limit of open descriptors.

use std::sync::{
    Once,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::restart::trace;

static RAISED: Once = Once::new();

/// The soft limit before it was raised, and after; equal if it was not raised.
static BEFORE: AtomicU64 = AtomicU64::new(0);
static SINCE: AtomicU64 = AtomicU64::new(0);

/// Raises the soft limit of open descriptors to the hard one, once in the life of the program.
/// Each child takes up to five descriptors, and the usual soft limit of 1,024 is soon too low.
pub(crate) fn raise_open_files() {
    RAISED.call_once(|| match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => {
                BEFORE.store(soft, SeqCst);
                SINCE.store(hard, SeqCst);
                trace::info!(from = soft, to = hard, "raised the limit of open files");
            }
            Err(error) => trace::warn!(soft, %error, "cannot raise the limit of open files"),
        },
        Ok(_) => {}
        Err(error) => trace::warn!(%error, "cannot read the limit of open files"),
    });
}

/// In a child, before its program runs: restores the limit that the parent had, unless the parent
/// has set one of its own since. A program that walks through all possible descriptor numbers takes
/// long with a high limit, and `select` cannot take the high ones.
pub(super) fn restore_open_files() {
    let (before, since) = (BEFORE.load(SeqCst), SINCE.load(SeqCst));
    if before == since {
        return;
    }
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft == since
    {
        // A lower limit is always granted.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, before, hard);
    }
}
