//! Promises 3 and 6: full, dead and stalled subscribers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::HashSet;

use actix::{Actor, ActorContext, Arbiter, Context, Handler};
use actix_process::{
    ChildExited, Command, Lifecycle, OutputBatch, Policy, Spawn, Start, Subscribe,
};
use support::{recorder, run_with_policy};

#[test]
fn a_stalled_subscriber_with_a_full_mailbox_gets_all_exits_afterwards() {
    run_with_policy(async |policy| {
        const CHILDREN: usize = 200;
        let arbiter = Arbiter::new();
        let (stalled, theirs) = recorder::start_stalled(&arbiter);
        let (prompt, ours) = recorder::start();
        policy.subscribe(Subscribe::exits(stalled.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::lifecycle(stalled.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::exits(prompt.recipient())).await.unwrap();
        let spawns = (0..CHILDREN)
            .map(|n| policy.spawn(Command::shell(format!("printf {n}; exit {}", n % 7))));
        let children = futures::future::try_join_all(spawns).await.unwrap();
        // Nobody else waits for the one who stalls.
        let prompt = ours.until_exits(CHILDREN).await;
        for child in &children {
            child.wait().await.unwrap();
        }
        assert!(theirs.exits().is_empty());
        theirs.release();
        let late = theirs.until_exits(CHILDREN).await;
        theirs.until(|record| record.lifecycle().len() >= 3 * CHILDREN).await;
        for exits in [&prompt, &late] {
            assert_eq!(exits.len(), CHILDREN);
            assert_eq!(exits.iter().map(|exit| exit.child).collect::<HashSet<_>>().len(), CHILDREN);
        }
        let exited = |event: &&Lifecycle| matches!(event, Lifecycle::Exited(_));
        assert_eq!(theirs.lifecycle().iter().filter(exited).count(), CHILDREN);
        drop(stalled);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

/// Stops at its first message.
struct Mortal;

impl Actor for Mortal {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for Mortal {
    type Result = ();

    fn handle(&mut self, _: ChildExited, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<OutputBatch> for Mortal {
    type Result = ();

    fn handle(&mut self, _: OutputBatch, context: &mut Self::Context) {
        context.stop();
    }
}

#[test]
fn a_subscriber_that_died_is_removed_and_holds_nothing_back() {
    support::run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let mortal = Mortal.start();
        policy.subscribe(Subscribe::exits(mortal.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::output(mortal.clone().recipient())).await.unwrap();
        let (alive, record) = recorder::start();
        policy.subscribe(Subscribe::exits(alive.recipient())).await.unwrap();
        // Far more than the log holds: were the dead one still waited for, this would not end.
        for _ in 0..3 {
            let command = Command::new("head").args(["-c", "4194304", "/dev/zero"]);
            let exit = policy.spawn(command).await.unwrap().wait().await.unwrap();
            assert_eq!(exit.output_bytes, 4_194_304);
        }
        assert_eq!(record.until_exits(3).await.len(), 3);
        assert!(!mortal.connected());
        policy.shutdown(std::time::Duration::ZERO).await;
    });
}

#[test]
fn a_subscriber_that_panics_takes_nobody_along() {
    struct Panics;
    impl Actor for Panics {
        type Context = Context<Self>;
    }
    impl Handler<ChildExited> for Panics {
        type Result = ();
        fn handle(&mut self, _: ChildExited, _: &mut Self::Context) {
            panic!("injected: in the user's handler");
        }
    }
    run_with_policy(async |policy| {
        policy.subscribe(Subscribe::exits(Panics.start().recipient())).await.unwrap();
        let (alive, record) = recorder::start();
        policy.subscribe(Subscribe::exits(alive.recipient())).await.unwrap();
        for _ in 0..5 {
            policy.spawn(Command::new("true")).await.unwrap();
        }
        assert_eq!(record.until_exits(5).await.len(), 5);
    });
}

#[test]
fn unsubscribing_ends_it_and_others_go_on() {
    run_with_policy(async |policy| {
        let (first, firsts) = recorder::start();
        let (second, seconds) = recorder::start();
        let subscription =
            policy.subscribe(Subscribe::exits(first.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::exits(second.recipient())).await.unwrap();
        policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        firsts.until_exits(1).await;
        policy.unsubscribe(subscription).await;
        for _ in 0..3 {
            policy.spawn(Command::new("true")).await.unwrap();
        }
        seconds.until_exits(4).await;
        assert_eq!(firsts.exits().len(), 1);
    });
}

#[test]
fn one_child_s_subscriber_hears_of_that_child_alone() {
    run_with_policy(async |policy| {
        let (of_spawn, spawned) = recorder::start();
        let (of_child, subscribed) = recorder::start();
        let command = Command::shell("read line; printf mine");
        let child = policy.spawn(Spawn::new(command).notify(of_spawn.recipient())).await.unwrap();
        let recipient = of_child.clone().recipient();
        policy.subscribe(Subscribe::exits(recipient).of(&child)).await.unwrap();
        let recipient = of_child.recipient();
        policy
            .subscribe(Subscribe::output(recipient).from(Start::Beginning).of(&child))
            .await
            .unwrap();
        for _ in 0..5 {
            policy.spawn(Command::shell("printf other")).await.unwrap().wait().await.unwrap();
        }
        child.wait().await.unwrap();
        for record in [&spawned, &subscribed] {
            let exits = record.until_exits(1).await;
            assert_eq!((exits.len(), exits[0].child), (1, child.id()));
        }
        subscribed.until(|record| record.entries().len() >= 3).await;
        assert!(subscribed.entries().iter().all(|entry| entry.child == child.id()));
    });
}

#[test]
fn a_user_system_that_is_blocked_delays_no_exit() {
    run_with_policy(async |policy| {
        let arbiter = Arbiter::new();
        let (elsewhere, record) = recorder::start_stalled(&arbiter);
        record.release();
        policy.subscribe(Subscribe::exits(elsewhere.clone().recipient())).await.unwrap();
        policy.spawn(Command::new("true")).await.unwrap();
        // This blocks the System's own arbiter, which is the point.
        let deadline = std::time::Instant::now() + support::DEADLINE;
        while record.exits().is_empty() {
            assert!(std::time::Instant::now() < deadline, "the exit waits for the user's System");
            std::thread::yield_now();
        }
        drop(elsewhere);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}
