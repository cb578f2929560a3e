//! Bulk output: 16 and 256 writers of 64 KiB writes, beside a poll+read loop in the same run; how
//! fair the reading is, and how soon a slow pipe is seen beside 16 hot ones.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use actix_process::{Command, OutputTo};
use criterion::{BenchmarkId, Criterion, Throughput};

use actix_process_benches::{
    children::{self, now},
    paired::paired,
    raw, sink, with_policy,
};

const BLOCK: usize = 64 * 1024;
const TOTAL: usize = 1024 * 1024 * 1024;

/// The writers' part, and the time at which all of them begin: when all have been spawned.
fn writer(writers: usize) -> (String, u64) {
    let start = now() + 200_000_000 + writers as u64 * 2_000_000;
    (format!("write {} {BLOCK} {start}", TOTAL / writers / BLOCK), start)
}

/// Only the standard output is piped, as the peer's is.
fn commands(part: &str, count: usize) -> Vec<Command> {
    (0..count).map(|_| children::command(part).stderr(OutputTo::Inherit)).collect()
}

fn since(start: u64) -> Duration {
    Duration::from_nanos(now() - start)
}

fn ours(writers: usize) -> Duration {
    with_policy(async |policy| {
        let bytes = sink::shared(0);
        let counted = bytes.clone();
        let (part, start) = writer(writers);
        sink::run(&policy, commands(&part, writers), move |_, chunk| {
            *counted.lock().unwrap_or_else(PoisonError::into_inner) += chunk.bytes.len();
        })
        .await;
        let elapsed = since(start);
        assert_eq!(*bytes.lock().unwrap(), TOTAL);
        elapsed
    })
}

fn poll_loop(writers: usize) -> Duration {
    let mut bytes = 0;
    let (part, start) = writer(writers);
    raw::poll_loop(&part, writers, |_, chunk| bytes += chunk.len());
    let elapsed = since(start);
    assert_eq!(bytes, TOTAL);
    elapsed
}

/// Jain's index of what each writer got through when half of all had come: 1 is perfectly fair.
fn jain(writers: usize) -> f64 {
    with_policy(async |policy| {
        let seen = sink::shared((0_usize, HashMap::new(), 0.0));
        let counted = seen.clone();
        let (part, _) = writer(writers);
        sink::run(&policy, commands(&part, writers), move |child, chunk| {
            let mut seen = counted.lock().unwrap();
            let (total, each, index) = &mut *seen;
            *each.entry(child).or_insert(0_usize) += chunk.bytes.len();
            let before = *total;
            *total += chunk.bytes.len();
            if before < TOTAL / 2 && *total >= TOTAL / 2 {
                let sum: f64 = each.values().map(|&bytes| bytes as f64).sum();
                let squares: f64 = each.values().map(|&bytes| (bytes as f64).powi(2)).sum();
                *index = sum * sum / (writers as f64 * squares);
            }
        })
        .await;
        seen.lock().unwrap().2
    })
}

/// From a slow child's write to the subscriber's hand, beside 16 hot writers: the median.
fn slow_pipe() -> Duration {
    with_policy(async |policy| {
        let times = sink::shared(Vec::new());
        let taken = times.clone();
        let mut commands = commands(&writer(4).0, 16);
        commands.push(children::command("tick 200"));
        sink::run(&policy, commands, move |_, chunk| {
            if chunk.bytes[0] != b'x' && chunk.bytes.len() == 8 {
                let stamp = u64::from_le_bytes(chunk.bytes[..].try_into().unwrap());
                taken.lock().unwrap().push(now() - stamp);
            }
        })
        .await;
        let mut times = std::mem::take(&mut *times.lock().unwrap());
        times.sort_unstable();
        assert!(times.len() > 50, "the ticks were seen apart");
        Duration::from_nanos(times[times.len() / 2])
    })
}

fn main() {
    children::play();
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("bulk");
    group.throughput(Throughput::Bytes(TOTAL as u64));
    group.measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_millis(500));
    for writers in [16, 256] {
        for (name, run) in
            [("actix-process", ours as fn(usize) -> Duration), ("poll+read", poll_loop)]
        {
            group.bench_function(BenchmarkId::new(name, writers), |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| run(writers)).sum());
            });
        }
    }
    group.finish();
    criterion.final_summary();
    if !actix_process_benches::whole() {
        return;
    }
    for writers in [16, 256] {
        paired(
            &format!("bulk, {writers} writers, 1 GiB"),
            15,
            &[("actix-process", &|| ours(writers)), ("poll+read", &|| poll_loop(writers))],
        );
    }
    for writers in [16, 256] {
        println!("fairness, {writers} writers: Jain {:.4}", jain(writers));
    }
    println!("slow pipe beside 16 hot ones: median {:?}", slow_pipe());
}
