//! A context that four children write to: plain (a pipe) beside attributed (a socket that tells who
//! wrote). What a child writes at a time decides what a chunk is. A plain table.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use actix_process::{Fact, OutputTo, ShareOutput, Start};

use actix_process_benches::{children, median, short, with_policy};

const WRITERS: usize = 4;

/// The time that so many writes of each writer take.
fn run(kind: ShareOutput, writes: usize, len: usize) -> Duration {
    with_policy(async |policy| {
        let mut log = policy.log(Start::Now);
        let shared = match kind {
            ShareOutput::Plain => policy.shared_output().await.unwrap(),
            ShareOutput::Attributed => policy.attributed_output().await.unwrap(),
        };
        let begin = Instant::now();
        let command = children::command(&format!("write {writes} {len} 0"));
        for _ in 0..WRITERS {
            let command = command.clone().stdout(OutputTo::Shared(shared.clone()));
            policy.spawn(command).await.unwrap();
        }
        let context = shared.id();
        drop(shared);
        let mut bytes = 0;
        let mut closed = false;
        while !closed {
            for entry in log.next().await.unwrap().entries().filter(|it| it.child == context) {
                match &entry.fact {
                    Fact::Chunk(chunk) => {
                        assert_eq!(chunk.writer.is_some(), kind == ShareOutput::Attributed);
                        bytes += chunk.bytes.len();
                    }
                    Fact::Closed => closed = true,
                    _ => {}
                }
            }
        }
        assert_eq!(bytes, WRITERS * writes * len);
        begin.elapsed()
    })
}

fn main() {
    children::play();
    let (rounds, total) = if short() { (1, 1 << 20) } else { (9, 128 << 20) };
    println!("a shared context, {WRITERS} writers, MiB a second, median of {rounds} rounds");
    println!("{:>8} {:>10} {:>12} {:>7}", "writes", "plain", "attributed", "ratio");
    for len in [100, 4096, 65536] {
        // Short writes are slow: fewer of them.
        let writes = total.min(len << 14) / WRITERS / len;
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            times[0].push(run(ShareOutput::Plain, writes, len));
            times[1].push(run(ShareOutput::Attributed, writes, len));
        }
        let mib = (WRITERS * writes * len) as f64 / f64::from(1 << 20);
        let [plain, attributed] = times.each_mut().map(|times| mib / median(times).as_secs_f64());
        println!("{len:>6} B {plain:>10.0} {attributed:>12.0} {:>6.2}x", attributed / plain);
    }
}
