//! Promise 2: the exit comes after every byte that the child itself wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::HashMap;

use actix::Actor;
use actix_process::{Command, Fact, ProcessGroup, Signal, Source, Spawn, Start, Subscribe};
use support::{recorder, run_with_policy};

const MIB: usize = 1024 * 1024;

#[test]
fn a_child_that_writes_a_mebibyte_and_exits_at_once() {
    run_with_policy(async |policy| {
        for _ in 0..20 {
            let child = policy
                .spawn(Command::shell("head -c 1048576 /dev/zero; printf end"))
                .await
                .unwrap();
            let output = child.output().await.unwrap();
            assert_eq!((output.stdout.len(), output.missing), (MIB + 3, 0));
            assert!(output.stdout.ends_with(b"end"));
            assert_eq!(output.exit.output_bytes, (MIB + 3) as u64);
        }
    });
}

#[test]
fn five_hundred_together_each_with_all_its_bytes_before_its_exit() {
    run_with_policy(async |policy| {
        const CHILDREN: usize = 500;
        let (counter, counts) = counter::start();
        policy.subscribe(Subscribe::output(counter.recipient())).await.unwrap();
        let (exits, record) = recorder::start();
        let spawns = (0..CHILDREN).map(|_| {
            let command = Command::new("head").args(["-c", "1048576", "/dev/zero"]);
            policy.spawn(Spawn::new(command).notify(exits.clone().recipient()))
        });
        futures::future::try_join_all(spawns).await.unwrap();
        let exits = record.until_exits(CHILDREN).await;
        support::until("the output is delivered", || {
            support::lock(&counts).at_exit.len() == CHILDREN
        })
        .await;
        let counts = support::lock(&counts);
        for exit in exits {
            assert!(exit.last_seq < exit.seq);
            assert_eq!(counts.at_exit[&exit.child], (MIB, exit.last_seq, exit.seq));
        }
    });
}

#[test]
fn the_exit_does_not_wait_for_a_grandchild_that_holds_the_pipe() {
    run_with_policy(async |policy| {
        let (lifecycle, record) = recorder::start();
        policy.subscribe(Subscribe::output(lifecycle.clone().recipient())).await.unwrap();
        // The grandchild ends when its standard input does, which is this test's to decide.
        let fifo = tempfile::tempdir().unwrap();
        let path = fifo.path().join("gate");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let line = format!("printf own; (cat {0}; printf late) & exit 3", path.display());
        let child = policy.spawn(Command::shell(line)).await.unwrap();
        let exit = child.wait().await.unwrap();
        assert_eq!((exit.status.returncode(), exit.output_bytes), (3, 3));
        record
            .until(|record| record.entries().iter().any(|e| matches!(e.fact, Fact::Exited(_))))
            .await;
        assert!(!record.entries().iter().any(|entry| matches!(entry.fact, Fact::Closed)));
        std::fs::write(&path, "gate ").unwrap();
        record
            .until(|record| record.entries().iter().any(|e| matches!(e.fact, Fact::Closed)))
            .await;
        let mut order = Vec::new();
        for entry in record.entries() {
            match entry.fact {
                Fact::Spawned { .. } => order.push("spawned".to_owned()),
                Fact::Chunk(chunk) => {
                    assert_eq!(chunk.stream, Source::Stdout);
                    let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
                    order.push(if chunk.after_exit { format!("after:{text}") } else { text });
                }
                Fact::Exited(_) => order.push("exited".to_owned()),
                Fact::Closed => order.push("closed".to_owned()),
                other => panic!("{other:?}"),
            }
        }
        let after: String = order[3..order.len() - 1].concat().replace("after:", "");
        assert_eq!(order[..3], ["spawned", "own", "exited"]);
        assert_eq!((after.as_str(), order.last().unwrap().as_str()), ("gate late", "closed"));
    });
}

#[test]
fn a_killed_child_s_last_words_are_kept() {
    run_with_policy(async |policy| {
        let command =
            Command::shell("printf words; exec sleep 1000").process_group(ProcessGroup::Own);
        let child = policy.spawn(command).await.unwrap();
        let mut log = policy.log(Start::Beginning);
        let mut seen = Vec::new();
        while seen != b"words" {
            let batch = support::within(log.next()).await.unwrap();
            for entry in batch.entries() {
                if let Fact::Chunk(chunk) = &entry.fact {
                    seen.extend_from_slice(&chunk.bytes);
                }
            }
        }
        child.signal(Signal::SIGKILL).await.unwrap();
        assert_eq!(child.output().await.unwrap().stdout, b"words");
    });
}

/// Counts bytes as they come, and notes the count at each exit.
mod counter {
    use std::sync::{Arc, Mutex};

    use actix::{Addr, Context, Handler};
    use actix_process::{ChildId, OutputBatch, Seq};

    use super::*;

    #[derive(Default)]
    pub struct Counts {
        bytes: HashMap<ChildId, (usize, Option<Seq>)>,
        pub at_exit: HashMap<ChildId, (usize, Seq, Seq)>,
        next: u64,
    }

    pub struct Counter(Arc<Mutex<Counts>>);

    pub fn start() -> (Addr<Counter>, Arc<Mutex<Counts>>) {
        let counts = Arc::<Mutex<Counts>>::default();
        (Counter(Arc::clone(&counts)).start(), counts)
    }

    impl Actor for Counter {
        type Context = Context<Self>;
    }

    impl Handler<OutputBatch> for Counter {
        type Result = ();

        fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
            assert_eq!(batch.gap(), None);
            let mut counts = support::lock(&self.0);
            for entry in batch.entries() {
                assert_eq!(entry.seq.get(), counts.next, "the sequence has no hole");
                counts.next += 1;
                let (bytes, last) = counts.bytes.entry(entry.child).or_default();
                match &entry.fact {
                    Fact::Chunk(chunk) => {
                        assert!(!chunk.after_exit);
                        *bytes += chunk.bytes.len();
                        *last = Some(entry.seq);
                    }
                    Fact::Exited(_) => {
                        let at_exit = (*bytes, last.unwrap(), entry.seq);
                        assert_eq!(counts.at_exit.insert(entry.child, at_exit), None);
                    }
                    _ => {}
                }
            }
        }
    }
}
