//! Actor throughput on one current-thread runtime, started and acknowledged outside the timing,
//! completion counted by the receiver, unbounded against unbounded: bare actix, ractor
//! (thread-local), kameo, tokio mpsc; and the fan-out of `ChildExited` to 1, 16 and 256 recipients,
//! ours through the library's own publication against bare `do_send`s.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "throughput/actix_bare.rs"]
mod actix_bare;
#[path = "throughput/channel.rs"]
mod channel;
#[path = "throughput/fan_out.rs"]
mod fan_out;
#[path = "throughput/kameo_peer.rs"]
mod kameo_peer;
#[path = "throughput/ractor_peer.rs"]
mod ractor_peer;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

/// Sends so many messages to a running actor and gives the time until the last is handled.
type Run = fn(u64) -> Duration;

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let groups: [(&str, [(&str, Run); 4]); 2] = [
        (
            "tell and drain",
            [
                ("actix", actix_bare::tell),
                ("ractor thread-local", ractor_peer::tell),
                ("kameo", kameo_peer::tell),
                ("tokio mpsc", channel::tell),
            ],
        ),
        (
            "ask",
            [
                ("actix", actix_bare::ask),
                ("ractor thread-local", ractor_peer::ask),
                ("kameo", kameo_peer::ask),
                ("tokio mpsc", channel::ask),
            ],
        ),
    ];
    for (name, runs) in groups {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
        for (peer, run) in runs {
            group.bench_function(peer, |bencher| bencher.iter_custom(run));
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("fan-out of ChildExited");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    for recipients in [1, 16, 256] {
        group.throughput(Throughput::Elements(recipients as u64));
        type FanOut = fn(usize, u64) -> Duration;
        let runs: [(&str, FanOut); 5] = [
            ("actix-process", fan_out::ours),
            ("actix", actix_bare::fan_out),
            ("ractor thread-local", ractor_peer::fan_out),
            ("kameo", kameo_peer::fan_out),
            ("tokio mpsc", channel::fan_out),
        ];
        for (peer, run) in runs {
            group.bench_function(BenchmarkId::new(peer, recipients), |bencher| {
                bencher.iter_custom(|rounds| run(recipients, rounds));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
