//! Promise 5: spawning at the same time leaks no descriptor from one child into another.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, ErrorTo};
use support::run_with_both_launches;

#[test]
fn concurrent_children_have_their_three_streams_and_no_more() {
    run_with_both_launches(async |policy| {
        // What a child gets while nobody else spawns: 0, 1, 2, the folder that ls lists, and what
        // this test was itself started with.
        let alone = listing();
        // Beside ours, another part of the program spawns too.
        let theirs = alone.clone();
        let others = std::thread::spawn(move || (0..50).all(|_| listing() == theirs));
        let spawns = (0..200).map(|n| {
            let command = Command::new("ls").arg("/proc/self/fd");
            let both = if n % 2 == 0 { ErrorTo::WithStdout } else { ErrorTo::default() };
            policy.spawn(command.stderr(both))
        });
        for child in futures::future::try_join_all(spawns).await.unwrap() {
            assert_eq!(child.output().await.unwrap().stdout, alone);
        }
        assert!(others.join().unwrap(), "a child of std::process got one of ours");
    });
}

fn listing() -> Vec<u8> {
    std::process::Command::new("ls").arg("/proc/self/fd").output().unwrap().stdout
}
