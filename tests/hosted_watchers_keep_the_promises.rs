//! Whatever the watcher, the promises of the merged log hold: on both drivers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

#[path = "../examples/own_watcher/poller.rs"]
mod poller;
mod support;

use std::{sync::Arc, time::Duration};

use actix_process::{
    Command, ExitStatus, Fault, Policy, PolicyHandle, ProcessGroup, Signal, SpawnStep, Subscribe,
    asyncio::{
        ChildWatcher, EventLoop, FastWatcher, MultiLoopWatcher, PidfdWatcher, SafeWatcher,
        ThreadedWatcher,
    },
    inject,
};
use support::{recorder, run, within};

/// Runs a test with a policy for each watcher, attached to the test's own loop.
fn hosted(test: impl AsyncFn(&PolicyHandle, &Arc<dyn ChildWatcher>)) {
    let makers: [fn() -> Arc<dyn ChildWatcher>; 6] = [
        || Arc::new(PidfdWatcher::new()),
        || Arc::new(ThreadedWatcher::new()),
        || Arc::new(SafeWatcher::new()),
        || Arc::new(FastWatcher::new()),
        || Arc::new(MultiLoopWatcher::new().unwrap()),
        || Arc::new(poller::Poller::start()),
    ];
    for make in makers {
        run(async || {
            let watcher = make();
            println!("{watcher:?}");
            watcher.attach_loop(EventLoop::current()).unwrap();
            let policy = Policy::builder().child_watcher(Arc::clone(&watcher)).start().unwrap();
            test(&policy, &watcher).await;
            policy.shutdown(Duration::ZERO).await;
            watcher.close();
        });
    }
}

#[test]
fn exits_follow_all_output_and_are_told_once() {
    hosted(async |policy, _| {
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::exits(recorder.recipient())).await.unwrap();
        let mut children = Vec::new();
        for code in 0..60 {
            let line = format!("head -c 200000 /dev/zero; exit {code}");
            children.push(policy.spawn(Command::shell(line)).await.unwrap());
        }
        for (child, code) in children.iter().zip(0..) {
            let exit = within(child.wait()).await.unwrap();
            assert_eq!((exit.status, exit.output_bytes), (ExitStatus::Code(code), 200_000));
            assert!(exit.usage.peak_memory_kib > 0);
        }
        let killed = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        killed.kill().await.unwrap();
        assert_eq!(within(killed.wait()).await.unwrap().status.returncode(), -9);
        assert!(killed.signal(Signal::SIGTERM).await.is_err());
        support::until("every exit is told", || record.exits().len() == 61).await;
        let mut told: Vec<_> = record.exits().iter().map(|exit| exit.child).collect();
        told.dedup();
        assert_eq!(told.len(), 61);
    });
}

#[test]
fn an_exit_does_not_wait_for_a_grandchild() {
    hosted(async |policy, _| {
        let command = Command::shell("sleep 1000 & echo left; exit 3");
        let child = policy.spawn(command.process_group(ProcessGroup::Own)).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status, ExitStatus::Code(3));
    });
}

#[test]
fn panics_of_watcher_waiter_and_loop_lose_no_exit() {
    hosted(async |policy, _| {
        inject(Fault::WatcherBeforeAdopt, 1);
        inject(Fault::WatcherAfterAdopt, 1);
        inject(Fault::WaiterAfterReap, 1);
        inject(Fault::LoopAfterRead, 1);
        let mut children = Vec::new();
        for code in 0..20 {
            let line = format!("echo {code}; exit {code}");
            children.push(policy.spawn(Command::shell(line)).await.unwrap());
        }
        for (child, code) in children.iter().zip(0..) {
            assert_eq!(within(child.wait()).await.unwrap().status, ExitStatus::Code(code));
        }
    });
}

#[test]
fn with_an_inactive_watcher_nothing_is_spawned() {
    run(async || {
        let before = support::children();
        let watcher = Arc::new(PidfdWatcher::new());
        let policy = Policy::builder().child_watcher(watcher.clone()).start().unwrap();
        let error = policy.spawn(Command::new("true")).await.unwrap_err();
        assert_eq!(error.step, SpawnStep::CheckWatcher);
        assert!(error.to_string().contains("`true`: could not have it watched"), "{error}");
        assert_eq!(support::children(), before);
        watcher.attach_loop(EventLoop::current()).unwrap();
        let child = policy.spawn(Command::new("true")).await.unwrap();
        assert!(within(child.wait()).await.unwrap().status.success());
        policy.shutdown(Duration::ZERO).await;
        watcher.close();
    });
}

#[test]
fn a_watcher_that_lets_go_leaves_its_children_to_their_waiters() {
    hosted(async |policy, watcher| {
        let removed = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let closed = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        // Not by the fast one: it reaps whatever ends.
        if !format!("{watcher:?}").contains("Fast") {
            support::until("it is removed", || watcher.remove_child_handler(removed.pid())).await;
            removed.kill().await.unwrap();
            assert_eq!(within(removed.wait()).await.unwrap().status.returncode(), -9);
        }
        watcher.close();
        closed.signal(Signal::SIGTERM).await.unwrap();
        assert_eq!(within(closed.wait()).await.unwrap().status.returncode(), -15);
        let error = policy.spawn(Command::new("true")).await.unwrap_err();
        assert_eq!(error.step, SpawnStep::CheckWatcher);
    });
}

#[test]
fn a_shutdown_ends_children_whose_watcher_has_lost_its_loop() {
    run(async || {
        let own = EventLoop::start().unwrap();
        let watcher = Arc::new(SafeWatcher::new());
        watcher.attach_loop(Some(own.clone())).unwrap();
        let policy = Policy::builder().child_watcher(watcher.clone()).start().unwrap();
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        own.spawn(async { actix::System::current().stop() });
        support::until("the loop ends", || !own.is_running()).await;
        assert!(!watcher.is_active());
        within(policy.shutdown(Duration::ZERO)).await;
        assert_eq!(child.try_wait().unwrap().unwrap().status.returncode(), -15);
        watcher.close();
    });
}

#[test]
fn panics_of_a_hosted_watcher_and_of_its_reports_lose_no_child() {
    run(async || {
        let watcher = Arc::new(FastWatcher::reporting(|_| panic!("injected: a report")));
        watcher.attach_loop(EventLoop::current()).unwrap();
        let policy = Policy::builder().child_watcher(watcher.clone()).start().unwrap();
        for code in 0..30 {
            // A bystander's child becomes collateral.
            let mut bystander = std::process::Command::new("true").spawn().unwrap();
            let child = policy.spawn(Command::shell(format!("exit {code}"))).await.unwrap();
            assert_eq!(within(child.wait()).await.unwrap().status, ExitStatus::Code(code));
            support::until("it is reaped", || bystander.try_wait().map_or(true, |it| it.is_some()))
                .await;
        }
        policy.shutdown(Duration::ZERO).await;
        watcher.close();
    });
    run(async || {
        let policy = Policy::builder().child_watcher(Arc::new(Panics)).start().unwrap();
        let child = policy.spawn(Command::shell("exit 3")).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status, ExitStatus::Code(3));
        policy.shutdown(Duration::ZERO).await;
    });
}

#[derive(Debug)]
struct Panics;

impl ChildWatcher for Panics {
    fn add_child_handler(
        &self,
        _: i32,
        _: actix_process::asyncio::ExitHandler,
    ) -> Result<(), actix_process::asyncio::WatchError> {
        panic!("injected: add")
    }

    fn remove_child_handler(&self, _: i32) -> bool {
        panic!("injected: remove")
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), actix_process::asyncio::WatchError> {
        panic!("injected: attach")
    }

    fn is_active(&self) -> bool {
        true
    }

    fn close(&self) {}

    fn registering(&self) -> actix_process::asyncio::Registering {
        panic!("injected: registering")
    }
}
