//! Several children write to one pipe context: nothing torn that the kernel keeps whole, none lost.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::HashMap;

use actix_process::{ChildId, Command, Fact, LogReader, OutputTo, Start};
use support::{run_with_policy, within};

/// What the context holds until it is closed, and after how many bytes each child's exit came.
async fn read(
    log: &mut LogReader,
    context: ChildId,
    children: usize,
) -> (Vec<u8>, HashMap<ChildId, usize>) {
    let (mut bytes, mut exits, mut closed) = (Vec::new(), HashMap::new(), false);
    while !closed || exits.len() < children {
        let batch = within(log.next()).await.unwrap();
        for entry in batch.entries() {
            match &entry.fact {
                Fact::Chunk(chunk) => {
                    assert_eq!((entry.child, chunk.after_exit), (context, false));
                    bytes.extend_from_slice(&chunk.bytes);
                }
                Fact::Exited(exit) => {
                    assert!(exit.status.success());
                    exits.insert(entry.child, bytes.len());
                }
                Fact::Closed => closed |= entry.child == context,
                _ => {}
            }
        }
    }
    (bytes, exits)
}

#[test]
fn two_children_write_at_once_and_no_byte_is_lost_or_torn() {
    run_with_policy(async |policy| {
        for size in [100, 10_000, 300_000] {
            let mut log = policy.log(Start::Now);
            let shared = policy.shared_output().await.unwrap();
            let mut children = Vec::new();
            for letter in ["a", "b"] {
                let line = format!(
                    "for i in 1 2 3 4 5 6 7 8; do printf '%{size}s' '' | tr ' ' {letter}; done"
                );
                let output = OutputTo::Shared(shared.clone());
                let command = Command::shell(line).stdout(output.clone()).stderr(output);
                children.push(policy.spawn(command).await.unwrap());
            }
            let context = shared.id();
            drop(shared);
            let (bytes, exits) = read(&mut log, context, 2).await;
            for letter in [b'a', b'b'] {
                assert_eq!(bytes.iter().filter(|byte| **byte == letter).count(), 8 * size);
            }
            if size <= 4_096 {
                let torn =
                    bytes.chunks(size).filter(|write| write.iter().any(|it| *it != write[0]));
                assert_eq!(torn.count(), 0, "a short write was torn");
            }
            assert_eq!(exits.len(), 2);
        }
    });
}

#[test]
fn an_exit_comes_after_all_that_the_child_wrote_to_the_shared_context() {
    run_with_policy(async |policy| {
        for _ in 0..20 {
            let mut log = policy.log(Start::Now);
            let shared = policy.shared_output().await.unwrap();
            let output = OutputTo::Shared(shared.clone());
            let command = Command::shell("head -c 50000 /dev/zero").stdout(output);
            let child = policy.spawn(command).await.unwrap();
            let context = shared.id();
            drop(shared);
            let (bytes, exits) = read(&mut log, context, 1).await;
            assert_eq!((bytes.len(), exits[&child.id()]), (50_000, 50_000));
        }
    });
}

#[test]
fn a_context_outlives_its_children_and_ends_with_its_last_handle() {
    run_with_policy(async |policy| {
        let mut log = policy.log(Start::Now);
        let shared = policy.shared_output().await.unwrap();
        for _ in 0..3 {
            let command = Command::shell("echo again").stdout(OutputTo::Shared(shared.clone()));
            let child = policy.spawn(command).await.unwrap();
            within(child.wait()).await.unwrap();
        }
        let context = shared.id();
        drop(shared);
        assert_eq!(read(&mut log, context, 3).await.0, b"again\nagain\nagain\n");
    });
}

/// The chunks of the context until it is closed: who wrote each, and what.
async fn chunks(log: &mut LogReader, context: ChildId) -> Vec<(i32, Vec<u8>)> {
    let mut chunks = Vec::new();
    loop {
        let batch = within(log.next()).await.unwrap();
        for entry in batch.entries().filter(|entry| entry.child == context) {
            match &entry.fact {
                Fact::Chunk(chunk) => {
                    let writer = chunk.writer.expect("the kernel tells the writer");
                    chunks.push((writer, chunk.bytes.to_vec()));
                }
                Fact::Closed => return chunks,
                _ => {}
            }
        }
    }
}

#[test]
fn two_children_write_to_an_attributed_context_and_no_chunk_is_of_both() {
    run_with_policy(async |policy| {
        let directory = tempfile::TempDir::new().unwrap();
        for size in [100, 10_000, 300_000] {
            let mut log = policy.log(Start::Now);
            let shared = policy.attributed_output().await.unwrap();
            let mut children = Vec::new();
            for letter in [b'a', b'b'] {
                let file = directory.path().join(char::from(letter).to_string());
                std::fs::write(&file, vec![letter; size * 8]).unwrap();
                // Each block is one write of one process.
                let (from, block) = (format!("if={}", file.display()), format!("bs={size}"));
                let command = Command::new("dd").args([from, block]);
                let output = OutputTo::Shared(shared.clone());
                let command = command.stdout(output).stderr(OutputTo::Null);
                children.push((policy.spawn(command).await.unwrap(), letter));
            }
            let context = shared.id();
            drop(shared);
            let chunks = chunks(&mut log, context).await;
            for (child, letter) in children {
                let its = chunks.iter().filter(|(writer, _)| *writer == child.pid());
                let bytes: Vec<u8> = its.flat_map(|(_, bytes)| bytes.clone()).collect();
                assert_eq!(bytes, vec![letter; size * 8]);
                let exit = within(child.wait()).await.unwrap();
                assert!(exit.status.success());
            }
            assert_eq!(chunks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), size * 16);
        }
    });
}

#[test]
fn what_descendants_write_to_an_attributed_context_is_theirs() {
    run_with_policy(async |policy| {
        let mut log = policy.log(Start::Now);
        let shared = policy.attributed_output().await.unwrap();
        let line = "for n in 1 2 3 4 5; do echo $$; sh -c 'echo $$'; done";
        let command = Command::shell(line).stdout(OutputTo::Shared(shared.clone()));
        let child = policy.spawn(command).await.unwrap();
        let context = shared.id();
        drop(shared);
        let chunks = chunks(&mut log, context).await;
        let mut own = 0;
        for (writer, bytes) in &chunks {
            for line in std::str::from_utf8(bytes).unwrap().lines() {
                assert_eq!(line.parse::<i32>().unwrap(), *writer);
                own += usize::from(*writer == child.pid());
            }
        }
        assert_eq!((chunks.len(), own), (10, 5));
    });
}

#[test]
fn an_exit_comes_after_all_that_the_child_wrote_to_an_attributed_context() {
    run_with_policy(async |policy| {
        for _ in 0..20 {
            let mut log = policy.log(Start::Now);
            let shared = policy.attributed_output().await.unwrap();
            let output = OutputTo::Shared(shared.clone());
            let command = Command::shell("head -c 150000 /dev/zero").stdout(output);
            let child = policy.spawn(command).await.unwrap();
            let context = shared.id();
            drop(shared);
            let (bytes, exits) = read(&mut log, context, 1).await;
            assert_eq!((bytes.len(), exits[&child.id()]), (150_000, 150_000));
        }
    });
}

#[test]
fn an_attributed_context_is_paused_and_resumed_by_the_slowest_reader() {
    run_with_policy(async |policy| {
        let mut log = policy.log(Start::Now);
        let shared = policy.attributed_output().await.unwrap();
        let command = Command::new("head").args(["-c", "32000000", "/dev/zero"]);
        let child = policy.spawn(command.stdout(OutputTo::Shared(shared.clone()))).await.unwrap();
        let waited = tokio::time::timeout(std::time::Duration::from_millis(200), child.wait());
        assert!(waited.await.is_err(), "the child was not blocked");
        let context = shared.id();
        drop(shared);
        let (bytes, _) = read(&mut log, context, 1).await;
        assert_eq!(bytes.len(), 32_000_000);
    });
}
