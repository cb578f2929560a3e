//! Foreign code: a `tracing` layer of the host program's that panics at everything it is told, on
//! every thread of the library. No child, exit, byte or thread is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{sync::Arc, time::Duration};

use actix_process::{Command, Policy, Subscribe, asyncio::SafeWatcher};
use support::{recorder, within};
use tracing::{Event, Metadata, Subscriber, span};

/// Panics whatever is asked of it.
struct Panicking;

impl Subscriber for Panicking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        // The first one is given, so that there is something to enter and to close.
        static FIRST: std::sync::Once = std::sync::Once::new();
        let mut first = false;
        FIRST.call_once(|| first = true);
        if first {
            return span::Id::from_u64(1);
        }
        panic!("injected: new_span")
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {
        panic!("injected: record")
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        panic!("injected: {:?}", event.metadata().target())
    }

    fn enter(&self, _: &span::Id) {
        panic!("injected: enter")
    }

    fn exit(&self, _: &span::Id) {}

    fn clone_span(&self, _: &span::Id) -> span::Id {
        panic!("injected: clone_span")
    }

    fn try_close(&self, _: span::Id) -> bool {
        panic!("injected: try_close")
    }
}

#[test]
fn at_spawns_exits_failures_signals_and_the_shutdown() {
    tracing::subscriber::set_global_default(Panicking).unwrap();
    for hosted in [false, true] {
        support::run(async || {
            // One panic that was taken for the library's own would end the policy.
            let mut builder = support::restarting(0);
            if hosted {
                let watcher = SafeWatcher::new();
                let on = actix_process::asyncio::EventLoop::current();
                actix_process::asyncio::ChildWatcher::attach_loop(&watcher, on).unwrap();
                builder = builder.child_watcher(Arc::new(watcher));
            }
            let policy = builder.grace(Duration::from_millis(50)).start().unwrap();
            let (recorder, record) = recorder::start();
            policy.subscribe(Subscribe::exits(recorder.clone().recipient())).await.unwrap();
            policy.subscribe(Subscribe::output(recorder.recipient())).await.unwrap();
            let mut children = Vec::new();
            for number in 0..20 {
                let line = format!("echo {number}; exit {number}");
                children.push(within(policy.spawn(Command::shell(line))).await.unwrap());
                let refused = policy.spawn(Command::new("/no/such/program")).await;
                assert!(refused.is_err());
            }
            for (number, child) in children.iter().enumerate() {
                let output = within(child.output()).await.unwrap();
                assert_eq!(output.exit.status.returncode() as usize, number);
                assert_eq!(output.stdout, format!("{number}\n").as_bytes());
            }
            record.until_exits(20).await;
            // A status that is stolen is told, too.
            let stolen =
                within(policy.spawn(Command::new("cat").stdin(actix_process::Stdin::Piped)));
            let stolen = stolen.await.unwrap();
            stolen.kill().await.unwrap();
            within(stolen.wait()).await.unwrap();
            let quiet = within(policy.spawn(Command::new("sleep").arg("1000"))).await.unwrap();
            within(policy.shutdown(Duration::ZERO)).await;
            assert!(within(quiet.wait()).await.is_ok());
            assert_eq!(record.until_exits(22).await.len(), 22);
        });
    }
    // The library goes on in the same process.
    support::run(async || {
        let policy = Policy::start().unwrap();
        assert!(policy.spawn(Command::new("true")).await.is_ok());
        policy.shutdown(Duration::ZERO).await;
    });
}
