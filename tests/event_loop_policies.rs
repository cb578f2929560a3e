//! The process-wide policy, its loops and its watcher.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]
#![allow(clippy::zombie_processes, reason = "the watchers reap them")]

mod support;

use std::{sync::Arc, thread};

use actix_process::{
    Command, Policy,
    asyncio::{
        ChildWatcher, EventLoop, EventLoopPolicy, ExitHandler, NoEventLoop, ThreadedWatcher,
        WatchError, child_watcher, event_loop_policy, set_child_watcher, set_event_loop_policy,
    },
};
use support::{run, run_in, within};

#[test]
fn the_default_policy_is_made_once_and_restored_by_none() {
    run_in(|| {
        let first = event_loop_policy();
        assert!(Arc::ptr_eq(&first, &event_loop_policy()));
        let own: Arc<dyn EventLoopPolicy> = Arc::new(OwnWatcher::default());
        set_event_loop_policy(Some(Arc::clone(&own)));
        assert!(Arc::ptr_eq(&own, &event_loop_policy()));
        // Process-wide.
        let elsewhere = thread::spawn(event_loop_policy).join().unwrap();
        assert!(Arc::ptr_eq(&own, &elsewhere));
        set_event_loop_policy(None);
        assert!(Arc::ptr_eq(&first, &event_loop_policy()));
    });
}

#[test]
fn each_thread_has_its_loop() {
    run(async || {
        let policy = event_loop_policy();
        let here = policy.event_loop().unwrap();
        assert_eq!(Some(&here), EventLoop::current().as_ref());
        let other = thread::spawn(|| event_loop_policy().event_loop()).join().unwrap();
        assert_eq!(other, Err(NoEventLoop));
        // A new loop is set for no thread.
        let new = policy.new_event_loop().unwrap();
        assert_ne!(new, here);
        assert_eq!(policy.event_loop().unwrap(), here);
        let (ran, place) = std::sync::mpsc::channel();
        assert!(new.spawn(async move { ran.send(EventLoop::current()).unwrap() }));
        assert_eq!(place.recv_timeout(support::DEADLINE).unwrap().as_ref(), Some(&new));
        policy.set_event_loop(Some(new.clone()));
        assert_eq!(policy.event_loop().unwrap(), new);
        policy.set_event_loop(None);
        assert_eq!(policy.event_loop().unwrap(), here);
    });
}

#[test]
fn the_watcher_is_made_once_follows_its_thread_and_is_closed_by_the_next() {
    run(async || {
        let first = child_watcher().unwrap();
        assert!(first.is_active());
        assert!(Arc::ptr_eq(&first, &child_watcher().unwrap()));
        // It goes with the loop of the thread that it was attached from.
        let new = EventLoop::start().unwrap();
        event_loop_policy().set_event_loop(Some(new.clone()));
        let child = std::process::Command::new("true").spawn().unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let handler = ExitHandler::new(move |exit| {
            tell.send((exit.returncode(), EventLoop::current())).unwrap();
        });
        first.add_child_handler(child.id().try_into().unwrap(), handler).unwrap();
        assert_eq!(within(told).await.unwrap(), (0, Some(new.clone())));
        event_loop_policy().set_event_loop(None);
        drop(new);
        assert!(first.is_active());
        let second = Arc::new(ThreadedWatcher::new());
        set_child_watcher(Some(second.clone()));
        assert!(!first.is_active(), "the one before is closed");
        let current = child_watcher().unwrap();
        assert!(Arc::ptr_eq(&current, &(second.clone() as _)));
        set_child_watcher(None);
        assert!(!second.is_active());
        let third = child_watcher().unwrap();
        assert!(third.is_active() && !Arc::ptr_eq(&third, &first));
        set_child_watcher(None);
    });
}

#[derive(Debug, Default)]
struct OwnWatcher(Arc<ThreadedWatcher>);

impl EventLoopPolicy for OwnWatcher {
    fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, WatchError> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_policy_that_overrides_the_watcher_alone_has_the_rest_by_default() {
    run(async || {
        let own = OwnWatcher::default();
        let threaded = Arc::clone(&own.0);
        set_event_loop_policy(Some(Arc::new(own)));
        assert_eq!(event_loop_policy().event_loop().ok(), EventLoop::current());
        // A process policy's watcher is hosted by the policies that start now.
        let policy = Policy::start().unwrap();
        set_event_loop_policy(None);
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        support::until("the watcher has it", || threaded.remove_child_handler(child.pid())).await;
        policy.shutdown(std::time::Duration::ZERO).await;
    });
}
