//! Several children write to one pipe context: nothing torn that the kernel keeps whole, none lost.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::HashMap;

use actix_process::{ChildId, Command, Fact, LogReader, Output, Start};
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
                Fact::Spawned { .. } => {}
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
                // Each write of the shell's printf is one system call.
                let line = format!(
                    "for i in 1 2 3 4 5 6 7 8; do printf '%{size}s' '' | tr ' ' {letter}; done"
                );
                let output = Output::Shared(shared.clone());
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
            let output = Output::Shared(shared.clone());
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
            let command = Command::shell("echo again").stdout(Output::Shared(shared.clone()));
            let child = policy.spawn(command).await.unwrap();
            within(child.wait()).await.unwrap();
        }
        let context = shared.id();
        drop(shared);
        assert_eq!(read(&mut log, context, 3).await.0, b"again\nagain\nagain\n");
    });
}
