//! Spawn and exit of `/bin/true`, stdout and stderr piped, the exit delivered to a subscriber:
//! ours, tokio::process, and a one-thread posix_spawn+waitpid loop, in one run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashMap,
    ffi::CString,
    os::unix::ffi::OsStrExt,
    process::Stdio,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler, Recipient};
use actix_process::{ChildExited, Command, PolicyHandle, Spawn};
use criterion::{BenchmarkId, Criterion, Throughput};
use nix::sys::wait::waitpid;
use tokio::sync::mpsc;

use actix_process_benches::{raw, with_policy};

/// The subscriber: spawns the next child at each exit, until enough have ended.
struct Subscriber {
    policy: PolicyHandle,
    left_to_spawn: u64,
    left_to_end: u64,
    me: Option<Recipient<ChildExited>>,
    done: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Subscriber {
    fn spawn(&mut self) {
        if let Some(left) = self.left_to_spawn.checked_sub(1) {
            self.left_to_spawn = left;
            let spawn = Spawn::new(Command::new("/bin/true"));
            self.policy.addr().do_send(spawn.notify(self.me.clone().unwrap()));
        }
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for Subscriber {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Self::Context) {
        assert!(exit.status.success());
        self.left_to_end -= 1;
        if self.left_to_end == 0 {
            self.done.take().unwrap().send(()).unwrap();
        } else {
            self.spawn();
        }
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Begin(u64, tokio::sync::oneshot::Sender<()>);

impl Handler<Begin> for Subscriber {
    type Result = ();

    fn handle(&mut self, Begin(at_a_time, done): Begin, context: &mut Self::Context) {
        use actix::AsyncContext;
        self.me = Some(context.address().recipient());
        self.done = Some(done);
        for _ in 0..at_a_time {
            self.spawn();
        }
    }
}

fn ours(children: u64, at_a_time: u64) -> Duration {
    with_policy(async |policy| {
        let (left_to_spawn, left_to_end) = (children, children);
        let subscriber =
            Subscriber { policy, left_to_spawn, left_to_end, me: None, done: None }.start();
        let (done, finished) = tokio::sync::oneshot::channel();
        let begin = Instant::now();
        subscriber.do_send(Begin(at_a_time, done));
        finished.await.unwrap();
        begin.elapsed()
    })
}

fn tokio_process(children: u64, at_a_time: u64) -> Duration {
    actix_process_benches::current_thread().block_on(async {
        let (exits, mut subscriber) = mpsc::unbounded_channel();
        let spawn = || {
            let mut command = tokio::process::Command::new("/bin/true");
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let exits = exits.clone();
            tokio::spawn(async move { exits.send(child.wait().await.unwrap()).unwrap() });
        };
        let begin = Instant::now();
        let mut spawned = 0;
        while spawned < children.min(at_a_time) {
            spawn();
            spawned += 1;
        }
        for _ in 0..children {
            assert!(subscriber.recv().await.unwrap().success());
            if spawned < children {
                spawn();
                spawned += 1;
            }
        }
        begin.elapsed()
    })
}

fn posix_spawn(children: u64, at_a_time: u64) -> Duration {
    let program = CString::new("/bin/true").unwrap();
    // The environment that the others' children inherit: it decides what the loader does.
    let environment: Vec<CString> = std::env::vars_os()
        .map(|(key, value)| {
            CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).unwrap()
        })
        .collect();
    let mut live = HashMap::new();
    let begin = Instant::now();
    let mut spawned = 0;
    let mut ended = 0;
    while ended < children {
        while spawned < children && (live.len() as u64) < at_a_time {
            let child = raw::spawn(&program, &environment);
            live.insert(child.pid, child.pipes);
            spawned += 1;
        }
        let status = waitpid(None, None).unwrap();
        live.remove(&status.pid().unwrap());
        ended += 1;
    }
    begin.elapsed()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(15);
    for at_a_time in [1, 64] {
        let mut group = criterion.benchmark_group("spawn_exit");
        group.throughput(Throughput::Elements(1));
        group.measurement_time(Duration::from_secs(6)).warm_up_time(Duration::from_secs(1));
        type Run = fn(u64, u64) -> Duration;
        let runs: [(&str, Run); 3] = [
            ("actix-process", ours),
            ("tokio::process", tokio_process),
            ("posix_spawn", posix_spawn),
        ];
        for (name, run) in runs {
            group.bench_function(BenchmarkId::new(name, at_a_time), |bencher| {
                // At least a few rounds of what runs at a time, scaled back to one child.
                bencher.iter_custom(|iterations| {
                    let children = iterations.max(at_a_time * 4);
                    run(children, at_a_time).mul_f64(iterations as f64 / children as f64)
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
