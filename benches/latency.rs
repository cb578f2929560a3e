//! From the child's last act (it stamps the clock and exits) to the subscriber's hand.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;
fn main() { support::children::play(); }
