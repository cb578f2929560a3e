//! What a watcher cannot keep silent about: a lost status, with its PID; handlers without a loop.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use actix_process::{
    ChildWatcher, EventLoop, ExitHandler, FastWatcher, MultiLoopWatcher, PidfdWatcher, SafeWatcher,
    ThreadedWatcher,
};
use support::{lock, run, within};
use tokio::sync::oneshot;
use tracing::{Event, Level, Metadata, Subscriber, field::Visit, span};

/// Keeps the warnings as text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{}={value:?};", field.name()).unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        lock(&self.0).push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn of_a_lost_status_and_of_handlers_that_lose_their_loop() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let makers: [fn() -> Arc<dyn ChildWatcher>; 5] = [
        || Arc::new(PidfdWatcher::new()),
        || Arc::new(ThreadedWatcher::new()),
        || Arc::new(SafeWatcher::new()),
        || Arc::new(FastWatcher::new()),
        || Arc::new(MultiLoopWatcher::new().unwrap()),
    ];
    for make in makers {
        run(async || {
            let watcher = make();
            watcher.attach_loop(EventLoop::current()).unwrap();
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let pid: i32 = child.id().try_into().unwrap();
            // Under the fast watcher this fails, and the status is gone all the same.
            let _ = child.wait();
            let (tell, told) = oneshot::channel();
            let handler = ExitHandler::new(move |exit| tell.send(exit).unwrap());
            watcher.add_child_handler(pid, handler).unwrap();
            assert_eq!(within(told).await.unwrap().returncode(), 255);
            let names_it = format!("pid={pid};");
            let is_it = |text: &String| text.contains(&names_it) && text.contains("status is lost");
            assert!(lock(&warnings.0).iter().any(is_it), "{:#?}", lock(&warnings.0));

            lock(&warnings.0).clear();
            let mut living = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            let pid = living.id().try_into().unwrap();
            watcher.add_child_handler(pid, ExitHandler::new(|_| {})).unwrap();
            let other = EventLoop::start().unwrap();
            watcher.attach_loop(Some(other)).unwrap();
            watcher.attach_loop(None).unwrap();
            let pending = |text: &&String| text.contains("handlers=1;");
            let warned = lock(&warnings.0).iter().filter(pending).count();
            // Those that need no loop leave none.
            assert_eq!(warned, if watcher.is_active() { 0 } else { 2 }, "{watcher:?}");
            assert!(watcher.remove_child_handler(pid));
            watcher.close();
            living.kill().unwrap();
            living.wait().unwrap();
        });
    }
}
