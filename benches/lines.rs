//! Lines: 32 children of 50,000 lines of 80 bytes in writes of 4 KiB, delivered line by line, each
//! with its child, to one subscriber; beside tokio's `BufReader::lines` + mpsc and a poll loop that
//! only counts newlines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashMap,
    process::Stdio,
    time::{Duration, Instant},
};

use actix_process::{
    ChildId,
    log::{Chunk, Lines},
};
use criterion::{Criterion, Throughput};
use futures::StreamExt;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
    task::JoinSet,
};

use actix_process_benches::{children, raw, sink, with_policy};

const CHILDREN: usize = 32;
const LINES: usize = 50_000;

fn writer() -> String {
    format!("lines {LINES}")
}

/// Lines that share their chunk's memory, so that the subscriber may keep them.
fn ours() -> Duration {
    delivered(|lines, child, chunk| {
        let mut seen = 0;
        lines.push(&chunk.bytes, |line| {
            assert_eq!(line.bytes.len(), 79);
            std::hint::black_box((child, line));
            seen += 1;
        });
        seen
    })
}

/// Lines that are lent to the subscriber.
fn ours_lent() -> Duration {
    delivered(|lines, child, chunk| {
        let mut seen = 0;
        lines.visit(&chunk.bytes, |line, _| {
            assert_eq!(line.len(), 79);
            std::hint::black_box((child, line));
            seen += 1;
        });
        seen
    })
}

fn delivered(
    mut cut: impl FnMut(&mut Lines, ChildId, &Chunk) -> usize + Unpin + 'static,
) -> Duration {
    with_policy(async |policy| {
        let count = sink::shared(0);
        let counted = count.clone();
        let commands = (0..CHILDREN).map(|_| children::command(&writer())).collect();
        let mut lines: HashMap<_, Lines> = HashMap::new();
        let begin = Instant::now();
        sink::run(&policy, commands, move |child, chunk| {
            let lines = lines.entry((child, chunk.stream)).or_default();
            *counted.lock().unwrap() += cut(lines, child, chunk);
        })
        .await;
        let elapsed = begin.elapsed();
        assert_eq!(*count.lock().unwrap(), CHILDREN * LINES);
        elapsed
    })
}

/// The subscriber of the peers that send each line.
async fn take_all(mut lines: mpsc::Receiver<(usize, String)>) {
    let mut count = 0;
    while let Some((number, line)) = lines.recv().await {
        assert_eq!(line.len(), 79);
        std::hint::black_box((number, line));
        count += 1;
    }
    assert_eq!(count, CHILDREN * LINES);
}

fn tokio_lines() -> Duration {
    actix_process_benches::current_thread().block_on(async {
        let (program, (key, value)) = children::part(&writer());
        let (tagged, subscriber) = mpsc::channel(1024);
        let begin = Instant::now();
        for number in 0..CHILDREN {
            let mut command = tokio::process::Command::new(&program);
            command.env(key, &value).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let tagged = tagged.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
                while let Some(line) = lines.next_line().await.unwrap() {
                    tagged.send((number, line)).await.unwrap();
                }
                child.wait().await.unwrap();
            });
        }
        drop(tagged);
        take_all(subscriber).await;
        begin.elapsed()
    })
}

/// Only stdout is piped, as tokio's.
fn processkit_command() -> processkit::Command {
    let (program, (key, value)) = children::part(&writer());
    processkit::Command::new(program).env(key, value).stderr(processkit::StdioMode::Inherit)
}

fn processkit_stream() -> Duration {
    actix_process_benches::current_thread().block_on(async {
        let (tagged, subscriber) = mpsc::channel(1024);
        let begin = Instant::now();
        for number in 0..CHILDREN {
            let tagged = tagged.clone();
            tokio::spawn(async move {
                let mut child = processkit_command().start().await.unwrap();
                let mut lines = child.stdout_lines().unwrap();
                while let Some(line) = lines.next().await {
                    tagged.send((number, line)).await.unwrap();
                }
                assert_eq!(child.finish().await.unwrap().outcome.code(), Some(0));
            });
        }
        drop(tagged);
        take_all(subscriber).await;
        begin.elapsed()
    })
}

/// Runs the children to their ends, on two threads, and gives each line of them to `each`.
fn processkit_callbacks(each: impl Fn(usize, &str) + Clone + Send + Sync + 'static) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(async {
        let mut children = JoinSet::new();
        for number in 0..CHILDREN {
            let each = each.clone();
            let command = processkit_command().on_stdout_line(move |line| each(number, line));
            children.spawn(async move { command.start().await.unwrap().drain().await });
        }
        for outcome in children.join_all().await {
            assert_eq!(outcome.unwrap().code(), Some(0));
        }
    });
}

fn processkit_channel() -> Duration {
    let begin = Instant::now();
    // A thread takes from this channel sooner than a task from tokio's.
    let (tagged, subscriber) = std::sync::mpsc::channel::<(usize, String)>();
    let subscriber = std::thread::spawn(move || {
        let lines = subscriber.into_iter().inspect(|(_, line)| assert_eq!(line.len(), 79));
        lines.map(std::hint::black_box).count()
    });
    processkit_callbacks(move |number, line| tagged.send((number, line.to_owned())).unwrap());
    assert_eq!(subscriber.join().unwrap(), CHILDREN * LINES);
    begin.elapsed()
}

fn processkit_lock() -> Duration {
    let begin = Instant::now();
    let count = sink::shared(0);
    let counted = count.clone();
    processkit_callbacks(move |number, line| {
        let mut counted = counted.lock().unwrap();
        assert_eq!(line.len(), 79);
        std::hint::black_box((number, line));
        *counted += 1;
    });
    assert_eq!(*count.lock().unwrap(), CHILDREN * LINES);
    begin.elapsed()
}

fn poll_loop() -> Duration {
    let mut count = 0;
    let begin = Instant::now();
    raw::poll_loop(&writer(), CHILDREN, |_, chunk| {
        count += memchr::memchr_iter(b'\n', chunk).count();
    });
    let elapsed = begin.elapsed();
    assert_eq!(count, CHILDREN * LINES);
    elapsed
}

fn main() {
    children::play();
    let mut criterion = Criterion::default().configure_from_args().sample_size(15);
    let mut group = criterion.benchmark_group("lines");
    group.throughput(Throughput::Elements((CHILDREN * LINES) as u64));
    group.measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(1));
    type Run = fn() -> Duration;
    let runs: [(&str, Run); 7] = [
        ("actix-process", ours),
        ("actix-process, lines lent", ours_lent),
        ("tokio BufReader::lines + mpsc", tokio_lines),
        ("processkit stdout_lines + mpsc", processkit_stream),
        ("processkit on_stdout_line + mpsc", processkit_channel),
        ("processkit on_stdout_line, a lock", processkit_lock),
        ("poll loop, counting", poll_loop),
    ];
    for (name, run) in runs {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| run()).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}
