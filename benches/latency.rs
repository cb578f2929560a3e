//! From the child's last act (it stamps the clock and exits) to the subscriber's hand: ours, a
//! blocking waitpid, and tokio::process plus one hop to another thread, in one run. Once with the
//! time left in shared memory, and once written to standard output: then ours reads that, too,
//! before it tells the exit, which neither peer does.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{io::Read, os::unix::fs::FileExt, process::Stdio, time::Duration};

use actix::{Actor, Context, Handler};
use actix_process::{ChildExited, PolicyHandle, Spawn};
use criterion::Criterion;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use actix_process_benches::{
    children::{self, now},
    paired::paired,
};

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

/// Where the child puts the time that it takes just before it exits.
enum Stamp {
    /// In memory that it shares with the parent: there is nothing to read.
    Shared(NamedTempFile),
    /// On its standard output: its last output is still to be read when it ends.
    Output,
}

impl Stamp {
    fn shared() -> Self {
        Stamp::Shared(NamedTempFile::new_in("/dev/shm").unwrap())
    }

    fn part(&self) -> String {
        match self {
            Stamp::Shared(file) => format!("note {}", file.path().display()),
            Stamp::Output => "stamp".to_owned(),
        }
    }

    /// The time that the last child took.
    fn taken(&self, output: impl FnOnce() -> Vec<u8>) -> u64 {
        let mut stamp = [0; 8];
        match self {
            Stamp::Shared(file) => file.as_file().read_exact_at(&mut stamp, 0).unwrap(),
            Stamp::Output => stamp.copy_from_slice(&output()),
        }
        u64::from_le_bytes(stamp)
    }

    fn std_command(&self) -> std::process::Command {
        let (program, (key, value)) = children::part(&self.part());
        let mut command = std::process::Command::new(program);
        command.env(key, value).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

async fn ours(policy: &PolicyHandle, stamp: &Stamp, rounds: u64) -> Duration {
    let (seen, mut taken) = mpsc::unbounded_channel();
    let subscriber = Subscriber(seen).start();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let spawn = Spawn::new(children::command(&stamp.part()));
        let child = policy.spawn(spawn.notify(subscriber.clone().recipient())).await.unwrap();
        let seen = taken.recv().await.unwrap();
        let output = child.output().await.unwrap();
        times.push(seen - stamp.taken(|| output.stdout.to_vec()));
    }
    rounds_of_median(times)
}

/// What criterion is to divide by the rounds: their median, which a round that another process
/// of the machine delayed does not move.
fn rounds_of_median(mut times: Vec<u64>) -> Duration {
    times.sort_unstable();
    Duration::from_nanos(times[times.len() / 2] * times.len() as u64)
}

fn waitpid(stamp: &Stamp, rounds: u64) -> Duration {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut child = stamp.std_command().spawn().unwrap();
        child.wait().unwrap();
        let seen = now();
        times.push(seen - stamp.taken(|| whole(child.stdout.take().unwrap())));
    }
    rounds_of_median(times)
}

fn whole(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The exit is taken on a runtime's thread and handed to another one, as from a runtime to an
/// actor's arbiter.
fn tokio_and_a_hop(stamp: &Stamp, rounds: u64) -> Duration {
    let (exits, mut taken) = mpsc::unbounded_channel::<tokio::process::Child>();
    // The next child would write its time over this one's.
    let (read, mut next) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            actix_process_benches::current_thread().block_on(async {
                let mut times = Vec::new();
                while let Some(mut child) = taken.recv().await {
                    let seen = now();
                    times.push(seen - stamp.taken(|| whole(blocking(&mut child))));
                    read.send(()).unwrap();
                }
                rounds_of_median(times)
            })
        });
        actix_process_benches::current_thread().block_on(async {
            for _ in 0..rounds {
                let mut command = tokio::process::Command::from(stamp.std_command());
                let mut child = command.spawn().unwrap();
                child.wait().await.unwrap();
                exits.send(child).unwrap();
                next.recv().await.unwrap();
            }
        });
        drop(exits);
        waiter.join().unwrap()
    })
}

fn blocking(child: &mut tokio::process::Child) -> std::fs::File {
    let stdout = child.stdout.take().unwrap().into_owned_fd().unwrap();
    let blocking = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty());
    nix::fcntl::fcntl(&stdout, blocking).unwrap();
    stdout.into()
}

fn main() {
    children::play();
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    for (name, stamp) in
        [("exit_latency", Stamp::shared()), ("exit_latency_after_output", Stamp::Output)]
    {
        let mut group = criterion.benchmark_group(name);
        group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
        group.bench_function("actix-process", |bencher| {
            bencher.iter_custom(|rounds| {
                actix_process_benches::with_policy(async |policy| {
                    ours(&policy, &stamp, rounds).await
                })
            });
        });
        group.bench_function("blocking waitpid", |bencher| {
            bencher.iter_custom(|rounds| waitpid(&stamp, rounds));
        });
        group.bench_function("tokio::process + a hop", |bencher| {
            bencher.iter_custom(|rounds| tokio_and_a_hop(&stamp, rounds));
        });
        group.finish();
    }
    criterion.final_summary();
    if !actix_process_benches::whole() {
        return;
    }
    // Children of each way in a round.
    const EACH: u32 = 300;
    let each = |rounds: Duration| rounds / EACH;
    for (name, stamp) in [("exit latency", Stamp::shared()), ("after output", Stamp::Output)] {
        let rounds = u64::from(EACH);
        paired(
            name,
            21,
            &[
                ("actix-process", &|| {
                    each(actix_process_benches::with_policy(async |policy| {
                        ours(&policy, &stamp, rounds).await
                    }))
                }),
                ("blocking waitpid", &|| each(waitpid(&stamp, rounds))),
                ("tokio::process + a hop", &|| each(tokio_and_a_hop(&stamp, rounds))),
            ],
        );
    }
}
