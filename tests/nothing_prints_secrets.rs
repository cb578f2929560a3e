//! Handles and messages print ids and counts: never what a child writes, is given to read, or is
//! started with.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::fmt::Debug;

use actix_process::{
    Command, Fact, OutputBatch, OutputTo, Spawn, SpawnPipeline, Start, Stdin, Subscribe,
    log::{ChildLines, Lines, SpawnOrder},
    recording::Replay,
};
use support::{recorder, run_with_policy, within};

const SECRET: &str = "hunter2";

fn hides(what: &dyn Debug) {
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!text.contains(SECRET), "{text}");
        // As a list of numbers, too.
        let numbers = format!("{:?}", SECRET.as_bytes());
        let pretty = format!("{:#?}", SECRET.as_bytes()).replace(char::is_whitespace, "");
        let flat = text.replace(char::is_whitespace, "");
        assert!(!text.contains(&numbers) && !flat.contains(pretty.trim_matches(['[', ']'])));
    }
}

#[test]
fn no_handle_and_no_message_shows_what_may_be_secret() {
    run_with_policy(async |policy| {
        let shared = policy.shared_output().await.unwrap();
        let command = Command::shell("cat; echo \"$0 $PASSWORD\"; printf hunter2; exec sleep 100")
            .arg(SECRET)
            .env("PASSWORD", SECRET)
            .stdin(Stdin::Piped);
        let given = Stdin::Bytes(SECRET.into());
        hides(&command);
        hides(&given);
        hides(&command.clone().stdin(given).pipe_to(command.clone()));
        hides(&Spawn::new(command.clone()));
        hides(&SpawnPipeline(command.clone().pipe_to(command.clone())));
        let child = policy.spawn(command.clone()).await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.write(format!("{SECRET}\n")).unwrap();
        stdin.write_eof().unwrap();
        let mut reader = policy.log(Start::Beginning);
        let (recorder, record) = recorder::start();
        hides(&Subscribe::output(recorder.clone().recipient()).of(&child));
        policy
            .subscribe(Subscribe::output(recorder.recipient()).from(Start::Beginning))
            .await
            .unwrap();
        let output = Box::pin(child.output());
        child.wait_for_line(SECRET, support::DEADLINE).await.unwrap();
        let written = |record: &recorder::Record| {
            let entries = record.entries();
            let chunks = entries.iter().filter_map(|entry| match &entry.fact {
                Fact::Chunk(chunk) => Some(chunk.bytes.len()),
                _ => None,
            });
            chunks.sum::<usize>() == 3 * SECRET.len() + 3 + SECRET.len()
        };
        record.until(written).await;
        // Queued and never read.
        stdin.write(SECRET).unwrap_err();
        let batch = within(reader.next()).await.unwrap();
        let (mut lines, mut child_lines) = (Lines::default(), ChildLines::default());
        let mut order = SpawnOrder::default();
        let mut seen = false;
        for entry in record.entries() {
            hides(&entry);
            if let Fact::Chunk(chunk) = &entry.fact {
                hides(chunk);
                lines.push(&chunk.bytes, drop);
                seen = true;
            }
            child_lines.push(&entry.fact, drop);
            order.push(&entry, drop);
        }
        assert!(seen);
        let outputs = OutputBatch::from(batch.clone());
        let running = policy
            .spawn_pipeline(Command::new("true").arg(SECRET).pipe_to(Command::new("true")))
            .await
            .unwrap();
        for what in [
            &child as &dyn Debug,
            &stdin,
            &policy,
            &policy.addr(),
            &reader,
            &batch,
            &outputs,
            &lines,
            &child_lines,
            &order,
            &shared,
            &OutputTo::Shared(shared.clone()),
            &running,
        ] {
            hides(what);
        }
        within(running.wait()).await.unwrap();
        drop(output);
    });
    // A recording in hand.
    let recording = [&b"actix"[..], SECRET.as_bytes()].concat();
    assert!(Replay::open(&*recording).is_err());
}
