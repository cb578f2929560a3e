//! What a watcher cannot keep silent about: a lost status, with its PID; handlers without a loop.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::Arc;

use actix_process::asyncio::{
    ChildWatcher, EventLoop, ExitHandler, FastWatcher, MultiLoopWatcher, PidfdWatcher, SafeWatcher,
    ThreadedWatcher,
};
use support::{
    events::{Events, Told},
    run, within,
};
use tokio::sync::oneshot;
use tracing::Level;

#[test]
fn of_a_lost_status_and_of_handlers_that_lose_their_loop() {
    let warnings = Events::new(|metadata| *metadata.level() == Level::WARN);
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
            let names_it = format!("pid={pid}");
            let is_it = |(_, fields): &Told| {
                fields.contains(&names_it) && fields.iter().any(|it| it.contains("status is lost"))
            };
            let warned = warnings.take();
            assert!(warned.iter().any(is_it), "{warned:#?}");

            let mut living = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            let pid = living.id().try_into().unwrap();
            watcher.add_child_handler(pid, ExitHandler::new(|_| {})).unwrap();
            let other = EventLoop::start().unwrap();
            watcher.attach_loop(Some(other)).unwrap();
            watcher.attach_loop(None).unwrap();
            let pending = |(_, fields): &&Told| fields.iter().any(|it| it == "handlers=1");
            let warned = warnings.take().iter().filter(pending).count();
            // Those that need no loop leave none.
            assert_eq!(warned, if watcher.is_active() { 0 } else { 2 }, "{watcher:?}");
            assert!(watcher.remove_child_handler(pid));
            watcher.close();
            living.kill().unwrap();
            living.wait().unwrap();
        });
    }
}
