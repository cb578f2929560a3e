//! A policy that must give up leaves its children the builder's grace, and no more than they need.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::{Duration, Instant};

use actix_process::{Command, Fault, PolicyStopped, error::Part, inject};
use support::{until, within};
use tempfile::TempDir;

#[test]
fn a_child_ends_as_it_wants_when_the_read_loop_has_given_up() {
    support::run(async || {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        let policy = support::restarting(2).grace(Duration::from_secs(20)).start().unwrap();
        let line = "trap 'sleep 0.3; : >saved; exit' TERM; : >ready; while :; do sleep 0.01; done";
        let child = policy.spawn(Command::shell(line).current_dir(directory.path())).await.unwrap();
        until("the child is ready", || at("ready").exists()).await;
        let begin = Instant::now();
        inject(Fault::LoopBeforePublish, 3);
        let _ = policy.spawn(Command::new("true")).await;
        let reason = within(policy.stopped()).await;
        inject(Fault::LoopBeforePublish, 0);
        assert!(matches!(reason, PolicyStopped::GaveUp { part: Part::ReadLoop, .. }), "{reason}");
        assert!(at("saved").exists(), "it was killed before it could end");
        assert!(begin.elapsed() < Duration::from_secs(10), "the whole grace was waited for");
        assert!(!support::exists(child.pid()));
    });
}
