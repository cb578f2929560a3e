//! Feeding one child's standard input with a gibibyte, beside a blocking write loop; and the same
//! output delivered to one subscriber and to sixteen.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler};
use actix_process::{Fact, OutputBatch, Stdin, Subscribe};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use tokio::sync::mpsc;

use actix_process_benches::{children, with_policy};

const BLOCK: usize = 64 * 1024;
const GIB: usize = 1024 * 1024 * 1024;

fn ours() -> Duration {
    with_policy(async |policy| {
        let command = children::command("swallow").stdin(Stdin::Piped);
        let child = policy.spawn(command).await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.set_water_marks(512 * 1024, 1024 * 1024).unwrap();
        let block = Bytes::from(vec![b'x'; BLOCK]);
        let begin = Instant::now();
        for _ in 0..GIB / BLOCK {
            stdin.write(block.clone()).unwrap();
            stdin.ready().await.unwrap();
        }
        stdin.write_eof().unwrap();
        assert!(child.wait().await.unwrap().status.success());
        begin.elapsed()
    })
}

fn blocking() -> Duration {
    let (program, (key, value)) = children::part("swallow");
    let mut command = std::process::Command::new(program);
    command.env(key, value).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'x'; BLOCK];
    let begin = Instant::now();
    for _ in 0..GIB / BLOCK {
        stdin.write_all(&block).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    begin.elapsed()
}

/// Counts the bytes, until all children have closed.
struct Counter {
    bytes: usize,
    open: usize,
    done: mpsc::UnboundedSender<usize>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Counter {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        for entry in batch.entries() {
            match &entry.fact {
                Fact::Chunk(chunk) => self.bytes += chunk.bytes.len(),
                Fact::Closed => self.open -= 1,
                _ => {}
            }
        }
        if self.open == 0 {
            self.done.send(self.bytes).unwrap();
        }
    }
}

const WRITERS: usize = 16;
const EACH: usize = 16 * 1024 * 1024;

fn fan_out(subscribers: usize) -> Duration {
    with_policy(async |policy| {
        let (done, mut finished) = mpsc::unbounded_channel();
        for _ in 0..subscribers {
            let counter = Counter { bytes: 0, open: WRITERS, done: done.clone() }.start();
            policy.subscribe(Subscribe::output(counter.recipient())).await.unwrap();
        }
        let begin = Instant::now();
        let part = format!("write {} {BLOCK} 0", EACH / BLOCK);
        for _ in 0..WRITERS {
            policy.spawn(children::command(&part)).await.unwrap();
        }
        for _ in 0..subscribers {
            assert_eq!(finished.recv().await, Some(WRITERS * EACH));
        }
        begin.elapsed()
    })
}

fn main() {
    children::play();
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("stdin_gib");
    group.throughput(Throughput::Bytes(GIB as u64));
    let repeat = |run: fn() -> Duration| {
        move |bencher: &mut criterion::Bencher<'_>| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| run()).sum());
        }
    };
    group.bench_function("actix-process", repeat(ours));
    group.bench_function("blocking write", repeat(blocking));
    group.finish();
    let mut group = criterion.benchmark_group("output_fan_out");
    group.throughput(Throughput::Bytes((WRITERS * EACH) as u64));
    group.bench_function("1", repeat(|| fan_out(1)));
    group.bench_function("16", repeat(|| fan_out(16)));
    group.finish();
    criterion.final_summary();
}
