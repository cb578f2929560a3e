//! Promises 1 and 4: one gapless order, and no silent loss.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::{HashMap, HashSet};

use actix_process::{Command, Fact, Policy, Source, Start, Subscribe};
use support::{recorder, run, run_with_policy};

#[test]
fn every_fact_of_every_child_has_the_next_number_and_pipes_keep_their_order() {
    run_with_policy(async |policy| {
        const CHILDREN: usize = 20;
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::output(recorder.recipient())).await.unwrap();
        let mut log = policy.log(Start::Beginning);
        let line = "i=0; while [ $i -lt 300 ]; do echo $i; echo $i >&2; i=$((i+1)); done";
        let spawns = (0..CHILDREN).map(|_| policy.spawn(Command::shell(line)));
        futures::future::try_join_all(spawns).await.unwrap();
        let closed = |record: &recorder::Record| {
            record.entries().iter().filter(|entry| matches!(entry.fact, Fact::Closed)).count()
        };
        record.until(|record| closed(record) == CHILDREN).await;
        let entries = record.entries();
        let mut pipes: HashMap<_, Vec<u8>> = HashMap::new();
        let mut turns = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            assert_eq!(entry.seq.get(), place as u64);
            turns.push(entry.turn);
            if let Fact::Chunk(chunk) = &entry.fact {
                pipes
                    .entry((entry.child, chunk.stream))
                    .or_default()
                    .extend_from_slice(&chunk.bytes);
            }
        }
        assert!(turns.is_sorted());
        let expected: String = (0..300).map(|i| format!("{i}\n")).collect();
        assert_eq!(pipes.len(), 2 * CHILDREN);
        assert!(pipes.values().all(|bytes| bytes == expected.as_bytes()));
        // A reader of one's own sees the very same.
        let mut seqs = Vec::new();
        while seqs.len() < entries.len() {
            seqs.extend(
                support::within(log.next()).await.unwrap().entries().map(|entry| entry.seq),
            );
        }
        assert!(seqs.iter().zip(&entries).all(|(seq, entry)| *seq == entry.seq));
    });
}

#[test]
fn without_a_reader_the_oldest_goes_and_is_counted() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let mut written = 0;
        for _ in 0..3 {
            let command = Command::new("head").args(["-c", "2000000", "/dev/zero"]);
            written += policy.spawn(command).await.unwrap().wait().await.unwrap().output_bytes;
        }
        let mut log = policy.log(Start::Beginning);
        let batch = log.try_next().unwrap();
        let gap = batch.gap().expect("a gap");
        let first = batch.entries().next().unwrap().seq;
        assert_eq!((gap.first.get(), gap.last.next()), (0, first));
        let mut read = 0;
        let mut next = Some(batch);
        while let Some(batch) = next {
            for entry in batch.entries() {
                if let Fact::Chunk(chunk) = &entry.fact {
                    read += chunk.bytes.len() as u64;
                }
            }
            next = log.try_next();
        }
        assert_eq!((written, gap.bytes + read), (6_000_000, 6_000_000));
        assert!(read <= 256 * 1024 + 64 * 1024, "{read} bytes were retained");
        policy.shutdown(std::time::Duration::ZERO).await;
    });
}

#[test]
fn a_lossless_reader_that_stalls_pauses_the_children_and_loses_nothing() {
    run(async || {
        const BOUND: u64 = 256 * 1024;
        let policy = Policy::builder().log_bound(BOUND).start().unwrap();
        let mut log = policy.log(Start::Beginning);
        let command = Command::new("head").args(["-c", "8000000", "/dev/zero"]);
        let child = policy.spawn(command).await.unwrap();
        // The child blocks as on a full pipe.
        let wchan = format!("/proc/{}/wchan", child.pid());
        support::until("the child blocks", || {
            std::fs::read_to_string(&wchan).is_ok_and(|wchan| wchan.contains("pipe_write"))
        })
        .await;
        assert!(child.try_wait().is_none());
        // Meanwhile others live, end and are seen to end.
        let other = policy.spawn(Command::shell("echo meanwhile; exit 2")).await.unwrap();
        assert_eq!(support::within(other.wait()).await.unwrap().status.returncode(), 2);
        let mut bytes = 0;
        let mut exited = HashSet::new();
        while exited.len() < 2 {
            let batch = support::within(log.next()).await.unwrap();
            assert_eq!(batch.gap(), None);
            for entry in batch.entries() {
                match &entry.fact {
                    Fact::Chunk(chunk) if entry.child == child.id() => bytes += chunk.bytes.len(),
                    Fact::Exited(_) => assert!(exited.insert(entry.child)),
                    _ => {}
                }
            }
        }
        assert_eq!(bytes, 8_000_000);
        drop(log);
        policy.shutdown(std::time::Duration::ZERO).await;
    });
}

#[test]
fn a_lossy_subscriber_that_stalls_holds_nothing_back_and_is_told_what_it_missed() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let arbiter = actix::Arbiter::new();
        let (stalled, record) = recorder::start_stalled(&arbiter);
        policy.subscribe(Subscribe::output(stalled.clone().recipient()).lossy()).await.unwrap();
        let command = Command::new("head").args(["-c", "8000000", "/dev/zero"]);
        let child = policy.spawn(command).await.unwrap();
        assert_eq!(support::within(child.wait()).await.unwrap().output_bytes, 8_000_000);
        record.release();
        let delivered = |record: &recorder::Record| {
            let entries = record.entries();
            let chunks = entries.iter().filter_map(|entry| match &entry.fact {
                Fact::Chunk(chunk) => Some(chunk.bytes.len() as u64),
                _ => None,
            });
            chunks.sum::<u64>()
        };
        let closed = |record: &recorder::Record| {
            record.entries().last().is_some_and(|entry| matches!(entry.fact, Fact::Closed))
        };
        record.until(closed).await;
        let missed: u64 = record.gaps().iter().map(|gap| gap.bytes).sum();
        assert!(missed > 0);
        assert_eq!(delivered(&record) + missed, 8_000_000);
        policy.shutdown(std::time::Duration::ZERO).await;
        drop(stalled);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn standard_error_is_told_apart() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("echo out; echo err >&2")).await.unwrap();
        let output = child.output().await.unwrap();
        assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
        let streams: HashSet<Source> = policy
            .log(Start::Beginning)
            .try_next()
            .unwrap()
            .entries()
            .filter_map(|entry| match &entry.fact {
                Fact::Chunk(chunk) => Some(chunk.stream),
                _ => None,
            })
            .collect();
        assert_eq!(streams.len(), 2);
    });
}
