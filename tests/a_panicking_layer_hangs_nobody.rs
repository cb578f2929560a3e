//! A `tracing` layer of the host program's that panics in the policy's own thread: everyone is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, PolicyStopped};
use support::events::Events;

#[test]
fn in_the_shutdown() {
    let panicking = Events::new(|metadata| metadata.is_event()).at_each(|(_, fields)| {
        // In the shutdown the policy's own thread takes the step, and says that it panicked.
        if fields.iter().any(|field| field.contains("last step of a waiter")) {
            panic!("injected: a layer");
        }
    });
    tracing::subscriber::set_global_default(panicking).unwrap();
    support::run(async || {
        let (policy, reason) = support::ended_by_a_waiter_that_always_panics().await;
        let expected = PolicyStopped::DriverFailed("the policy's thread panicked".into());
        assert_eq!(reason, expected);
        assert!(policy.spawn(Command::new("true")).await.is_err());
    });
}
