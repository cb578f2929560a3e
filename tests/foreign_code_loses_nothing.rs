//! Promise 3: panics of foreign code (handlers, their destructors, a watcher's `Debug`), and of a
//! spawn thread's own, lose no child, no exit and no thread.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Duration,
};

use actix_process::{
    Command, Fault, Policy,
    asyncio::{
        ChildWatcher, EventLoop, ExitHandler, MultiLoopWatcher, PidfdWatcher, ThreadedWatcher,
        WatchError,
    },
    inject,
};
use support::{children, restarting, until, within};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("injected: a destructor");
    }
}

#[test]
fn a_panic_of_a_spawn_thread_costs_its_spawn_only() {
    support::run(async || {
        let policy = restarting(0).start().unwrap();
        // More than there are threads.
        for _ in 0..10 {
            inject(Fault::SpawnBeforeAdoption, 1);
            assert!(within(policy.spawn(Command::new("sleep").arg("1000"))).await.is_err());
            let pipeline = Command::new("sleep").arg("1000").pipe_to(Command::new("cat"));
            inject(Fault::SpawnBeforeAdoption, 1);
            assert!(within(policy.spawn_pipeline(pipeline)).await.is_err());
        }
        until("no child is left", || children().is_empty()).await;
        let child = within(policy.spawn(Command::new("true"))).await.unwrap();
        assert!(within(child.wait()).await.unwrap().status.success());
        within(policy.shutdown(Duration::ZERO)).await;
    });
}

fn sleeping() -> std::process::Child {
    std::process::Command::new("sleep").arg("1000").spawn().unwrap()
}

/// Called, replaced, removed, and dropped at the close: a handler's destructor panics, and the other
/// children's handlers are called.
#[test]
fn destructors_of_handlers() {
    support::run(async || {
        let pidfd = PidfdWatcher::new();
        pidfd.attach_loop(EventLoop::current()).unwrap();
        let watchers: [Box<dyn ChildWatcher>; 3] = [
            Box::new(pidfd),
            Box::new(ThreadedWatcher::new()),
            Box::new(MultiLoopWatcher::new().unwrap()),
        ];
        for watcher in watchers {
            let bomb = || {
                let bomb = Bomb;
                ExitHandler::new(move |_| {
                    std::hint::black_box(&bomb);
                })
            };
            let mut others: Vec<_> = (0..4).map(|_| sleeping()).collect();
            let (told, exits) = mpsc::channel();
            let mut pids = others.iter().map(|other| other.id() as i32);
            let (first, second) = (pids.next().unwrap(), pids.next().unwrap());
            let (third, last) = (pids.next().unwrap(), pids.next().unwrap());
            drop(pids);
            watcher.add_child_handler(first, bomb()).unwrap();
            watcher.add_child_handler(second, bomb()).unwrap();
            watcher.add_child_handler(second, bomb()).unwrap();
            assert!(watcher.remove_child_handler(second));
            watcher.add_child_handler(third, bomb()).unwrap();
            let tell = told.clone();
            let handler = ExitHandler::new(move |exit| tell.send(exit.pid).unwrap());
            watcher.add_child_handler(last, handler).unwrap();
            others[0].kill().unwrap();
            others[3].kill().unwrap();
            let mut told = None;
            until("the other one is told", || {
                told = exits.try_recv().ok();
                told.is_some()
            })
            .await;
            assert_eq!(told, Some(last));
            until("the first one is reaped", || !support::exists(first)).await;
            watcher.close();
            for other in &mut others[1..3] {
                other.kill().unwrap();
                other.wait().unwrap();
            }
        }
    });
}

/// A watcher that panics whatever is asked of it, and when it is to be named.
struct Hostile;

impl fmt::Debug for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("injected: Debug")
    }
}

impl ChildWatcher for Hostile {
    fn add_child_handler(&self, _: i32, handler: ExitHandler) -> Result<(), WatchError> {
        let _bomb = Bomb;
        drop(handler);
        Ok(())
    }

    fn remove_child_handler(&self, _: i32) -> bool {
        panic!("injected: remove_child_handler")
    }

    fn attach_loop(&self, _: Option<EventLoop>) -> Result<(), WatchError> {
        Ok(())
    }

    fn is_active(&self) -> bool {
        true
    }

    fn close(&self) {}

    fn registering(&self) -> actix_process::asyncio::Registering {
        actix_process::asyncio::Registering::until(|| panic!("injected: registering"))
    }
}

#[test]
fn a_hosted_watcher_that_panics_and_cannot_be_named() {
    // Somebody wants to hear of it.
    let events = support::events::Events::new(|metadata| metadata.is_event());
    let _guard = tracing::subscriber::set_global_default(events);
    support::run(async || {
        let policy = restarting(0).child_watcher(Arc::new(Hostile)).start().unwrap();
        for number in 0..10 {
            let child = policy.spawn(Command::shell(format!("exit {number}"))).await.unwrap();
            assert_eq!(within(child.wait()).await.unwrap().status.returncode(), number);
        }
        let quiet = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        within(policy.shutdown(Duration::ZERO)).await;
        assert!(quiet.wait().await.is_ok());
        let _ = Policy::start().unwrap().shutdown(Duration::ZERO).await;
    });
}
