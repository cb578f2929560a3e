//! A `tracing` layer of the host program's that panics in the policy's own thread: everyone is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fmt, time::Duration};

use actix_process::{Command, Fault, Intensity, Policy, PolicyStopped, inject};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

struct Panicking;

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut LastStep);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct LastStep;

impl Visit for LastStep {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        if format!("{value:?}").contains("last step of a waiter") {
            panic!("injected: a layer");
        }
    }
}

#[test]
fn in_the_shutdown() {
    tracing::subscriber::set_global_default(Panicking).unwrap();
    support::run(async || {
        let intensity = Intensity { restarts: 2, window: Duration::from_secs(60) };
        let policy = Policy::builder().intensity(intensity).grace(Duration::ZERO).start().unwrap();
        // The waiter's step panics whoever takes it; in the shutdown the layer hears of it.
        inject(Fault::WaiterAfterReap, usize::MAX);
        let child = policy.spawn(Command::new("true")).await.unwrap();
        let reason = support::within(policy.stopped()).await;
        inject(Fault::WaiterAfterReap, 0);
        let expected = PolicyStopped::DriverFailed("the policy's thread panicked".into());
        assert_eq!(reason, expected);
        assert_eq!(support::within(child.wait()).await.unwrap_err(), expected);
        assert!(policy.spawn(Command::new("true")).await.is_err());
    });
}
