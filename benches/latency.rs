//! From the child's last act (it stamps the clock and exits) to the subscriber's hand: ours, a
//! blocking waitpid, and tokio::process plus one hop to another thread, in one run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::{io::Read, process::Stdio, time::Duration};

use actix::{Actor, Context, Handler};
use actix_process::{ChildExited, PolicyHandle, Spawn};
use criterion::Criterion;
use tokio::sync::mpsc;

use support::children::{self, now};

/// The subscriber: takes the time when the exit is in its hand.
struct Subscriber(mpsc::UnboundedSender<u64>);

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: ChildExited, _: &mut Self::Context) {
        self.0.send(now()).unwrap();
    }
}

fn stamped(output: &[u8]) -> u64 {
    u64::from_le_bytes(output.try_into().expect("one stamp"))
}

async fn ours(policy: &PolicyHandle, rounds: u64) -> Duration {
    let (seen, mut taken) = mpsc::unbounded_channel();
    let subscriber = Subscriber(seen).start();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let spawn = Spawn::new(children::command("stamp"));
        let child = policy.spawn(spawn.notify(subscriber.clone().recipient())).await.unwrap();
        let seen = taken.recv().await.unwrap();
        times.push(seen - stamped(&child.output().await.unwrap().stdout));
    }
    rounds_of_median(times)
}

/// What criterion is to divide by the rounds: their median, which a round that another process
/// of the machine delayed does not move.
fn rounds_of_median(mut times: Vec<u64>) -> Duration {
    times.sort_unstable();
    Duration::from_nanos(times[times.len() / 2] * times.len() as u64)
}

fn std_command() -> std::process::Command {
    let (program, (key, value)) = children::part("stamp");
    let mut command = std::process::Command::new(program);
    command.env(key, value).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn waitpid(rounds: u64) -> Duration {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut child = std_command().spawn().unwrap();
        child.wait().unwrap();
        let seen = now();
        let mut stamp = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut stamp).unwrap();
        times.push(seen - stamped(&stamp));
    }
    rounds_of_median(times)
}

/// The exit is taken on a runtime's thread and handed to another one, as from a runtime to an
/// actor's arbiter.
fn tokio_and_a_hop(rounds: u64) -> Duration {
    let (exits, mut taken) = mpsc::unbounded_channel();
    let waiter = std::thread::spawn(move || {
        support::current_thread().block_on(async {
            let mut times = Vec::new();
            while let Some(mut child) = taken.recv().await {
                let child: &mut tokio::process::Child = &mut child;
                let seen = now();
                let mut stamp = Vec::new();
                let mut stdout =
                    child.stdout.take().unwrap().into_owned_fd().map(std::fs::File::from).unwrap();
                nix::fcntl::fcntl(
                    &stdout,
                    nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
                )
                .unwrap();
                stdout.read_to_end(&mut stamp).unwrap();
                times.push(seen - stamped(&stamp));
            }
            rounds_of_median(times)
        })
    });
    support::current_thread().block_on(async {
        for _ in 0..rounds {
            let mut child = tokio::process::Command::from(std_command()).spawn().unwrap();
            child.wait().await.unwrap();
            exits.send(child).unwrap();
        }
    });
    drop(exits);
    waiter.join().unwrap()
}

fn main() {
    children::play();
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("exit_latency");
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    group.bench_function("actix-process", |bencher| {
        bencher
            .iter_custom(|rounds| support::with_policy(async |policy| ours(&policy, rounds).await));
    });
    group.bench_function("blocking waitpid", |bencher| bencher.iter_custom(waitpid));
    group.bench_function("tokio::process + a hop", |bencher| bencher.iter_custom(tokio_and_a_hop));
    group.finish();
    criterion.final_summary();
}
