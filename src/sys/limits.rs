//! The limit of open descriptors.

use std::sync::Once;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

static RAISED: Once = Once::new();

/// Raises the soft limit of open descriptors to the hard one, once in the life of the program.
/// Each child takes up to five descriptors, and the usual soft limit of 1,024 is soon too low.
pub(crate) fn raise_open_files() {
    RAISED.call_once(|| match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => tracing::info!(from = soft, to = hard, "raised the limit of open files"),
            Err(error) => tracing::warn!(soft, %error, "cannot raise the limit of open files"),
        },
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot read the limit of open files"),
    });
}
