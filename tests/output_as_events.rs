//! The tracing sink: each line, exit and gap of the log is one event, and nothing else is.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use actix_process::{Command, Policy, Start};
use support::{
    events::{Events, Told},
    run, within,
};

/// The events that were told since the last call, as text.
fn take(events: &Events) -> Vec<String> {
    let text = |(level, fields): Told| format!("{level} {}", fields.join(" "));
    events.take().into_iter().map(text).collect()
}

#[test]
fn lines_exits_and_gaps_are_events() {
    let events = Events::new(|metadata| metadata.target() == "actix_process::output");
    let _here = tracing::subscriber::set_default(events.clone());
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let told = actix::spawn(policy.log(Start::Beginning).trace_lines());
        // The order between two streams is nobody's to know, so each child writes to one.
        let out =
            policy.spawn(Command::shell("echo one; printf 'tw\\377o'; exit 5")).await.unwrap();
        within(out.wait()).await.unwrap();
        let error = policy.spawn(Command::shell("echo three >&2; kill -9 $$")).await.unwrap();
        let exit = within(error.wait()).await.unwrap();
        let after_spawn = policy.log(Start::At(exit.last_seq));
        policy.shutdown(Duration::ZERO).await;
        within(told).await.unwrap();
        let of_out = format!("INFO child={} pid={}", out.id(), out.pid());
        let of_error = format!("INFO child={} pid={}", error.id(), error.pid());
        let expected = [
            format!("{of_out} stream=Stdout line=\"one\""),
            format!("{of_out} stream=Stdout line=\"tw\u{fffd}o\""),
            format!("{of_out} status=exit code 5"),
            format!("{of_error} stream=Stderr line=\"three\""),
            format!("{of_error} status=SIGKILL"),
        ];
        assert_eq!(take(&events), expected);
        within(after_spawn.trace_lines()).await;
        let without_pid = format!("INFO child={} stream=Stderr line=\"three\"", error.id());
        assert_eq!(take(&events), [without_pid, expected[4].clone()]);
    });
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        for _ in 0..10 {
            let child = policy.spawn(Command::shell("head -c 100000 /dev/zero")).await.unwrap();
            within(child.wait()).await.unwrap();
        }
        let late = actix::spawn(policy.log(Start::Beginning).lossy().trace_lines());
        policy.shutdown(Duration::ZERO).await;
        within(late).await.unwrap();
        let events = take(&events);
        assert!(events[0].starts_with("WARN message=output is gone bytes="), "{}", events[0]);
        assert_eq!(events.iter().filter(|event| event.starts_with("WARN")).count(), 1);
        assert!(events.last().unwrap().ends_with("status=exit code 0"));
    });
}
