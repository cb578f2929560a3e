//! What a host hears of by `tracing`: a spawn that failed, a child that failed, a reader that holds up
//! all children.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use actix_process::{Command, Policy, Start};
use support::{events::Events, run, until, within};
use tracing::Level;

#[test]
fn failures_and_a_reader_that_holds_up_all() {
    let events = Events::new(|metadata| *metadata.level() <= Level::INFO);
    tracing::subscriber::set_global_default(events.clone()).unwrap();
    let told = |level: Level, words: &[&str]| {
        events.take().iter().any(|(its, fields)| {
            *its == level && words.iter().all(|word| fields.iter().any(|it| it.contains(word)))
        })
    };
    run(async || {
        let policy = Policy::start().unwrap();
        policy.spawn(Command::new("/no/such")).await.unwrap_err();
        assert!(told(Level::WARN, &["could not be spawned", "/no/such", "execute it"]));

        let child = policy.spawn(Command::shell("exit 3")).await.unwrap();
        within(child.closed()).await.unwrap();
        assert!(told(Level::INFO, &["exited", "exit code 3"]));
        let child = policy.spawn(Command::new("true")).await.unwrap();
        within(child.closed()).await.unwrap();
        assert!(!told(Level::INFO, &["exited"]), "a success is no news");
        policy.shutdown(Duration::ZERO).await;

        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let reader = policy.log(Start::Beginning);
        let chatty = policy.spawn(Command::new("yes")).await.unwrap();
        // Its exit wakes the read loop, as any child's does.
        policy.spawn(Command::new("sleep").arg("1.5")).await.unwrap();
        until("the reader has held up the child for over a second", || {
            told(Level::WARN, &["holds up the reading", "LogReader", "age="])
        })
        .await;
        drop(reader);
        chatty.kill().await.unwrap();
        within(chatty.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}
