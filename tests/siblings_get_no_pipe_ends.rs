//! Promise 5: spawning at the same time leaks no descriptor from one child into another.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, ErrorOutput};
use support::run_with_policy;

#[test]
fn concurrent_children_have_their_three_streams_and_no_more() {
    run_with_policy(async |policy| {
        // Beside ours, another part of the program spawns too.
        let others = std::thread::spawn(|| {
            for _ in 0..50 {
                let mut command = std::process::Command::new("sh");
                let output = command.args(["-c", "ls /proc/self/fd | wc -l"]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4");
            }
        });
        let spawns = (0..200).map(|n| {
            // ls itself opens the folder that it lists: 0, 1, 2 and that one.
            let command = Command::new("ls").arg("/proc/self/fd");
            let both = if n % 2 == 0 { ErrorOutput::WithStdout } else { ErrorOutput::default() };
            policy.spawn(command.stderr(both))
        });
        for child in futures::future::try_join_all(spawns).await.unwrap() {
            let output = child.output().await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n");
        }
        others.join().unwrap();
    });
}
