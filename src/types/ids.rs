//! The crate's identities: children, sequence numbers, turns, subscriptions.
//! They are the crate's only keys; a PID or a descriptor number is only data.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

macro_rules! identity {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u64);

        impl $name {
            /// The bare number, for logs and external tables.
            #[must_use]
            pub fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

identity! {
    /// Names one child for the life of this program; unlike a PID it is never reused.
    ChildId, "child#"
}
identity! {
    /// A place in the merged log. The sequence starts at 0 and has no holes: every chunk and every
    /// lifecycle fact takes the next number, in the order in which the read loop observes them.
    Seq, ""
}
identity! {
    /// One turn of the read loop. Facts of the same turn were found together: the kernel has no
    /// order between two pipes that are both non-empty at one read, so they count as concurrent.
    Turn, "turn#"
}
identity! {
    /// Names one subscription, for `Unsubscribe`.
    SubscriptionId, "subscription#"
}

impl ChildId {
    /// A new id, unique in the whole program, so that two policies share none.
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ChildId(NEXT.fetch_add(1, Relaxed))
    }
}

/// From the bare number that [`Seq::get`] returned, for a reader that continues an earlier one.
impl From<u64> for Seq {
    fn from(number: u64) -> Self {
        Seq(number)
    }
}

impl Seq {
    /// The sequence number right after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}
