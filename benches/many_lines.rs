//! Many children: 1,000 of 1,000 lines of 80 bytes each, delivered line by line, each with its
//! child, to one subscriber; beside tokio's `BufReader::lines` + mpsc. 64 at a time, where spawning
//! is most of the work, and all at once. A plain table.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashMap,
    hint::black_box,
    process::Stdio,
    time::{Duration, Instant},
};

use actix_process::{OutputTo, log::Lines};
use futures::{StreamExt, future, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
};

use actix_process_benches::{children, median, short, sink, with_policy};

const LINES: usize = 1_000;

fn writer() -> String {
    format!("lines {LINES}")
}

fn ours(children: usize, at_a_time: usize) -> Duration {
    with_policy(async |policy| {
        let count = sink::shared(0);
        let counted = count.clone();
        // Only stdout is piped, as the peer's.
        let command = children::command(&writer()).stderr(OutputTo::Inherit);
        let mut lines: HashMap<_, Lines> = HashMap::new();
        let begin = Instant::now();
        let exits =
            sink::run_some(&policy, vec![command; children], at_a_time, move |child, chunk| {
                let mut seen = 0;
                lines.entry((child, chunk.stream)).or_default().push(&chunk.bytes, |line| {
                    black_box((child, line));
                    seen += 1;
                });
                *counted.lock().unwrap() += seen;
            })
            .await;
        let elapsed = begin.elapsed();
        assert_eq!((exits, *count.lock().unwrap()), (children, children * LINES));
        elapsed
    })
}

/// Runs one child, sends each of its lines, and says whether it exited with 0.
async fn tokio_child(number: usize, subscriber: mpsc::Sender<(usize, String)>) -> bool {
    let (program, (key, value)) = children::part(&writer());
    let mut command = tokio::process::Command::new(program);
    command.env(key, value).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        subscriber.send((number, line)).await.unwrap();
    }
    child.wait().await.unwrap().success()
}

async fn count_lines(mut tagged: mpsc::Receiver<(usize, String)>) -> usize {
    let mut count = 0;
    while let Some(line) = tagged.recv().await {
        black_box(line);
        count += 1;
    }
    count
}

fn tokio_lines(children: usize, at_a_time: usize) -> Duration {
    actix_process_benches::current_thread().block_on(async {
        let begin = Instant::now();
        let (subscriber, tagged) = mpsc::channel(1024);
        let counting = tokio::spawn(count_lines(tagged));
        let exits = stream::iter(0..children)
            .map(|number| tokio::spawn(tokio_child(number, subscriber.clone())))
            .buffer_unordered(at_a_time)
            .filter(|success| future::ready(*success.as_ref().unwrap()))
            .count()
            .await;
        drop(subscriber);
        let count = counting.await.unwrap();
        let elapsed = begin.elapsed();
        assert_eq!((exits, count), (children, children * LINES));
        elapsed
    })
}

fn compare(children: usize, at_a_time: usize, rounds: usize) {
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    // Round by round, so that whatever else the machine does hits both alike.
    for _ in 0..rounds {
        our_times.push(ours(children, at_a_time));
        peer_times.push(tokio_lines(children, at_a_time));
    }
    let rate = |times: &mut [Duration]| (children * LINES) as f64 / median(times).as_secs_f64();
    let (ours, peer) = (rate(&mut our_times), rate(&mut peer_times));
    println!("{at_a_time:>9} {ours:>14.0} {peer:>28.0} {:>6.2}x", ours / peer);
}

fn main() {
    children::play();
    // Ours does so itself; the peer needs it as much.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let (children, rounds) = if short() { (100, 1) } else { (1_000, 9) };
    println!("lines a second: {children} children of {LINES} lines, median of {rounds}");
    println!("at a time {:>14} {:>28} {:>7}", "ours", "tokio BufReader::lines+mpsc", "ratio");
    for at_a_time in [children.min(64), children] {
        compare(children, at_a_time, rounds);
    }
}
