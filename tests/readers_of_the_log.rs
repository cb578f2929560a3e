//! Readers: history, then live; from any place; as streams, iterators, lines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{thread, time::Duration};

use actix_process::{
    Command, Fact, Policy, Seq, Source, Start, Stdin, Subscribe,
    error::{DecodeError, WaitForLineError},
    log::{Batch, LineEnd, SpawnOrder},
};
use futures::StreamExt;
use support::{recorder, run, run_with_policy, until, within};

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.entries().map(|entry| entry.seq.get()).collect()
}

#[test]
fn a_late_reader_gets_history_then_live_without_a_hole_or_a_repeat() {
    run_with_policy(async |policy| {
        let mut early = policy.log(Start::Beginning);
        let mut all = Vec::new();
        for round in 0..20 {
            let line = "for i in 1 2 3 4 5; do echo $i; done";
            let child = policy.spawn(Command::shell(line)).await.unwrap();
            within(child.wait()).await.unwrap();
            while let Some(batch) = early.try_next() {
                all.extend(numbers(&batch));
            }
            assert!(all.iter().copied().eq(0..all.len() as u64));
            // From the beginning, from the middle of what is there, from the end, and past it.
            let end = all.len() as u64;
            for from in [0, round, end / 2, end.saturating_sub(1), end] {
                let mut late = policy.log(Start::At(Seq::from(from)));
                let mut seen = Vec::new();
                while let Some(batch) = late.try_next() {
                    assert!(batch.gap().is_none());
                    seen.extend(numbers(&batch));
                }
                assert!(seen.iter().copied().take((end - from) as usize).eq(from..end), "{from}");
            }
        }
    });
}

#[test]
fn what_is_gone_is_told_as_a_gap_that_counts_it() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        for _ in 0..20 {
            let child = policy.spawn(Command::shell("head -c 100000 /dev/zero")).await.unwrap();
            within(child.wait()).await.unwrap();
        }
        for start in [Start::Beginning, Start::At(Seq::from(7))] {
            let mut reader = policy.log(start).lossy();
            let first = within(reader.next()).await.unwrap();
            let gap = first.gap().expect("most of it is gone");
            let (mut bytes, mut entries) = (gap.bytes, gap.last.get() - gap.first.get() + 1);
            assert_eq!(gap.chunks + gap.facts, entries);
            entries += gap.first.get();
            let mut next = Some(first);
            while let Some(batch) = next {
                for entry in batch.entries() {
                    assert_eq!(entry.seq.get(), entries);
                    entries += 1;
                    if let Fact::Chunk(chunk) = &entry.fact {
                        bytes += chunk.bytes.len() as u64;
                    }
                }
                next = reader.try_next();
            }
            if gap.first.get() == 0 {
                assert_eq!(bytes, 2_000_000);
            }
            assert!(gap.first.get() <= 7);
        }
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_subscription_can_start_at_any_entry() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("echo one; echo two")).await.unwrap();
        let exit = within(child.wait()).await.unwrap();
        let (recorder, record) = recorder::start();
        let subscribe = Subscribe::output(recorder.recipient()).from(Start::At(exit.seq));
        policy.subscribe(subscribe).await.unwrap();
        record.until(|record| !record.entries().is_empty()).await;
        assert_eq!(record.entries()[0].seq, exit.seq);
    });
}

#[test]
fn a_reader_is_a_stream_and_a_blocking_iterator() {
    run(async || {
        let policy = Policy::start().unwrap();
        let stream = policy.log(Start::Beginning);
        // Made here, used on another thread.
        let iterator = policy.log(Start::Beginning).blocking();
        let mut text = Vec::new();
        let writer = policy.log(Start::Beginning);
        let blocked = thread::spawn(move || iterator.flat_map(|it| numbers(&it)).count());
        let written = thread::spawn(move || {
            writer.write_lines(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        let child = policy.spawn(Command::shell("echo out; echo err >&2; printf tail; exit 5"));
        let child = child.await.unwrap();
        within(child.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        let streamed: Vec<u64> =
            within(stream.flat_map(|it| futures::stream::iter(numbers(&it))).collect()).await;
        assert_eq!(blocked.join().unwrap(), streamed.len());
        let text = written.join().unwrap();
        let id = child.id();
        for line in [
            format!("{id} | out\n"),
            format!("{id} ! err\n"),
            format!("{id} | tail\n{id} = exit code 5\n"),
        ] {
            assert!(text.contains(&line), "{text}");
        }
    });
}

#[test]
fn a_line_is_waited_for_in_history_and_live() {
    run_with_policy(async |policy| {
        let line = "echo early; echo port 4711 >&2; sleep 0.1; echo late; printf tail; sleep 0.1";
        let child = policy.spawn(Command::shell(line)).await.unwrap();
        let found = child.wait_for_line("^port [0-9]+$", support::DEADLINE).await.unwrap();
        assert_eq!((found.stream, &found.line.bytes[..]), (Source::Stderr, &b"port 4711"[..]));
        let early = child.wait_for_line("early", support::DEADLINE).await.unwrap();
        assert_eq!(early.stream, Source::Stdout);
        child.wait_for_line("late", support::DEADLINE).await.unwrap();
        let tail = child.wait_for_line("tail", support::DEADLINE).await.unwrap();
        assert_eq!(tail.line.end, LineEnd::Unterminated);
        let never = child.wait_for_line("never", support::DEADLINE).await;
        assert!(matches!(never, Err(WaitForLineError::Ended(_))), "{never:?}");
        let invalid = child.wait_for_line("(", support::DEADLINE).await.unwrap_err();
        assert!(matches!(&invalid, WaitForLineError::Pattern { pattern, .. } if pattern == "("));
        let lines = child.last_lines(2);
        let text: Vec<_> = lines.iter().map(|line| &line.line.bytes[..]).collect();
        assert_eq!(text, [&b"late"[..], b"tail"]);
        let silent = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let late = silent.wait_for_line("x", Duration::from_millis(20)).await;
        assert!(matches!(late, Err(WaitForLineError::Deadline(_))));
        assert!(silent.last_lines(3).is_empty());
    });
}

#[test]
fn a_stream_is_decoded_from_its_first_byte_to_its_end() {
    run_with_policy(async |policy| {
        for round in 0..20 {
            let line = "printf '3:abc'; sleep 0.01; printf '5:de'; sleep 0.01; printf 'fgh1:'";
            let child = policy.spawn(Command::shell(line)).await.unwrap();
            if round % 2 == 0 {
                within(child.wait()).await.unwrap();
            }
            let frames: Vec<_> = within(child.decode(Source::Stdout, Netstring).collect()).await;
            let frames: Vec<_> = frames.into_iter().map(|frame| frame.map_err(drop)).collect();
            assert_eq!(frames, [Ok("abc".into()), Ok("defgh".into()), Err(())]);
        }
    });
}

/// `LENGTH:BYTES`, with one digit of length.
struct Netstring;

impl tokio_util::codec::Decoder for Netstring {
    type Item = String;
    type Error = std::io::Error;

    fn decode(&mut self, bytes: &mut bytes::BytesMut) -> Result<Option<String>, Self::Error> {
        let [digit, b':', rest @ ..] = &bytes[..] else { return Ok(None) };
        let len = usize::from(digit - b'0');
        if rest.len() < len {
            return Ok(None);
        }
        let frame = bytes.split_to(len + 2).split_off(2);
        Ok(Some(String::from_utf8(frame.to_vec()).unwrap()))
    }
}

#[test]
fn registration_order_is_the_same_whatever_the_children_do() {
    run_with_policy(async |policy| {
        let mut expected = None;
        for _ in 0..50 {
            let mut log = policy.log(Start::Now);
            let mut children = Vec::new();
            for number in 0..4 {
                let line =
                    format!("for i in 1 2 3 4 5 6; do echo {number}.$i; done; exit {number}");
                children.push(policy.spawn(Command::shell(line)).await.unwrap());
            }
            let mut order = SpawnOrder::default();
            let mut bytes = Vec::new();
            let mut exits = 0;
            while exits < children.len() {
                let batch = within(log.next()).await.unwrap();
                for entry in batch.entries() {
                    order.push(entry, |entry| match entry.fact {
                        Fact::Chunk(chunk) => bytes.extend_from_slice(&chunk.bytes),
                        Fact::Exited(exit) => {
                            exits += 1;
                            bytes.extend(format!("= {}\n", exit.status).bytes());
                        }
                        _ => {}
                    });
                }
            }
            assert_eq!(expected.get_or_insert_with(|| bytes.clone()), &bytes);
        }
    });
}

#[test]
fn a_child_whose_entries_are_gone_is_told_to_be_and_not_waited_for() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let child = policy.spawn(Command::new("echo").arg("gone")).await.unwrap();
        within(child.wait()).await.unwrap();
        for _ in 0..20 {
            let other = policy.spawn(Command::shell("head -c 100000 /dev/zero")).await.unwrap();
            within(other.wait()).await.unwrap();
        }
        let frames: Vec<_> = within(child.decode(Source::Stdout, Netstring).collect()).await;
        assert!(matches!(frames[..], [Err(DecodeError::Gone)]));
        let line = child.wait_for_line("gone", support::DEADLINE).await;
        assert!(matches!(line, Err(WaitForLineError::Ended(_))), "{line:?}");
        assert_eq!(within(child.lines().count()).await, 0);
        policy.shutdown(Duration::ZERO).await;
    });
}

/// No runtime of tokio's, nor any other one with a clock.
#[test]
fn a_line_is_waited_for_outside_of_any_runtime() {
    run_with_policy(async |policy| {
        let line = "read go; echo port 4711; exec sleep 1000";
        let child = policy.spawn(Command::shell(line).stdin(Stdin::Piped)).await.unwrap();
        let other = child.clone();
        let waiting = std::thread::spawn(move || {
            let none = other.wait_for_line("never", Duration::from_millis(50));
            let none = futures::executor::block_on(none);
            assert!(matches!(none, Err(WaitForLineError::Deadline(_))), "{none:?}");
            other.stdin().unwrap().write("go\n").unwrap();
            let line = other.wait_for_line("port ([0-9]+)", Duration::MAX);
            assert_eq!(futures::executor::block_on(line).unwrap().line.bytes, "port 4711");
            // The policy stops meanwhile.
            let ended = futures::executor::block_on(other.wait_for_line("never", Duration::MAX));
            assert!(matches!(ended, Err(WaitForLineError::Ended(_))), "{ended:?}");
        });
        within(child.wait_for_line("port", support::DEADLINE)).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        until("the other thread is done", || waiting.is_finished()).await;
        waiting.join().unwrap();
    });
}
