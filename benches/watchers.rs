//! The five child watchers beside their CPython namesakes: the parent's CPU time for an exit with
//! 10, 1,000 and 5,000 live children, and exits a second with 64 children at a time. Plain tables.
//!
//! `-- cpu`, `-- rate` run one of them; `-- --test` a short round of both.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::zombie_processes, reason = "the watchers reap them")]

use std::{
    io::{PipeReader, PipeWriter, pipe},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_process::{
    ExitStatus, Policy, Spawn,
    asyncio::{
        ChildWatcher, EventLoop, ExitHandler, FastWatcher, MultiLoopWatcher, PidfdWatcher,
        SafeWatcher, ThreadedWatcher,
    },
};
use actix_process_benches::cpu_time;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Make = fn() -> Arc<dyn ChildWatcher>;

const WATCHERS: [(&str, Make); 5] = [
    ("Pidfd", || Arc::new(PidfdWatcher::new())),
    ("Threaded", || Arc::new(ThreadedWatcher::new())),
    ("Safe", || Arc::new(SafeWatcher::new())),
    ("Fast", || Arc::new(FastWatcher::new())),
    ("MultiLoop", || Arc::new(MultiLoopWatcher::new().unwrap())),
];

/// The median of an odd number of rounds.
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|it| it == name);
    let short = has("--test");
    let both = !has("cpu") && !has("rate");
    Policy::builder().start().unwrap(); // raises the limit of open files
    if both || has("cpu") {
        cpu(if short { &[10] } else { &[10, 1_000, 5_000] }, if short { 10 } else { 200 });
    }
    if both || has("rate") {
        if short { rate(256, 256) } else { rate(20_000, 6_400) }
    }
}

/// A child that lives until its standard input ends, watched.
fn watched_cat(watcher: &dyn ChildWatcher, input: PipeReader) -> UnboundedReceiver<ExitStatus> {
    let (tell, told) = unbounded_channel();
    let _guard = watcher.registering();
    let mut command = Command::new("/bin/cat");
    let child = command.stdin(input).stdout(Stdio::null()).spawn().unwrap();
    let handler = ExitHandler::new(move |exit| tell.send(exit.status).unwrap());
    watcher.add_child_handler(child.id().try_into().unwrap(), handler).unwrap();
    told
}

fn cpu(live: &[usize], victims: usize) {
    println!("\nparent's CPU time for an exit, us (CPython's namesake); median of {ROUNDS}");
    print!("{:<10}", "live");
    live.iter().for_each(|live| print!("{live:>20}"));
    println!("{:>20}", "last / first");
    for (name, make) in WATCHERS {
        print!("{name:<10}");
        let mut ours = Vec::new();
        for &live in live {
            let time = median(|| cpu_of_an_exit(make, live, victims));
            let arguments = [live.to_string(), victims.to_string()];
            let peers = median_of(|| Some(cpython("cpu", name, &arguments)?[0]));
            print!("{:>20}", format!("{time:.2} ({})", text(peers)));
            ours.push(time);
        }
        println!("{:>20.2}", ours[ours.len() - 1] / ours[0]);
    }
}

fn cpu_of_an_exit(make: Make, live: usize, victims: usize) -> f64 {
    actix::System::new().block_on(async {
        let watcher = make();
        watcher.attach_loop(EventLoop::current()).unwrap();
        let (held, holder) = pipe().unwrap();
        let mut held: Vec<_> =
            (0..live).map(|_| watched_cat(&*watcher, held.try_clone().unwrap())).collect();
        let mut victims: Vec<(PipeWriter, UnboundedReceiver<ExitStatus>)> = (0..victims)
            .map(|_| {
                let (reader, writer) = pipe().unwrap();
                (writer, watched_cat(&*watcher, reader))
            })
            .collect();
        // What the registrations have left to do is done by then.
        actix::clock::sleep(Duration::from_millis(600)).await;
        let count = victims.len() as f64;
        let before = cpu_time();
        for (writer, mut told) in victims.drain(..) {
            drop(writer);
            assert_eq!(told.recv().await, Some(ExitStatus::Code(0)));
        }
        let each = (cpu_time() - before).as_secs_f64() * 1e6 / count;
        drop(holder);
        for told in &mut held {
            assert_eq!(told.recv().await, Some(ExitStatus::Code(0)));
        }
        watcher.close();
        each
    })
}

fn rate(children: usize, peers_children: usize) {
    println!(
        "\nexits a second, /bin/true, stdout and stderr piped, 64 at a time; median of {ROUNDS}"
    );
    println!("{:<10}{:>12}{:>12}{:>12}{:>12}", "", "ours", "CPython", "ratio", "false 255s");
    for (name, make) in WATCHERS {
        let mut false_255s = 0;
        // In turns, so that a drift of the machine meets both.
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (exits, lost) = exits_a_second(make, children / ROUNDS);
            ours.push(exits);
            false_255s += lost;
            peers.extend(cpython("rate", name, &[peers_children.to_string()]).map(|it| it[0]));
        }
        let ours = middle(ours).unwrap();
        let peers = middle(peers);
        let ratio = peers.map(|peers| ours / peers);
        println!("{name:<10}{ours:>12.0}{:>12}{:>12}{false_255s:>12}", text(peers), text(ratio));
    }
}

fn exits_a_second(make: Make, children: usize) -> (f64, usize) {
    actix::System::new().block_on(async {
        let watcher = make();
        watcher.attach_loop(EventLoop::current()).unwrap();
        let policy = Policy::builder().child_watcher(watcher.clone()).start().unwrap();
        let begin = Instant::now();
        let workers = (0..64).map(|_| {
            let policy = policy.clone();
            actix::spawn(async move {
                let mut lost = 0;
                for _ in 0..children / 64 {
                    let spawn = Spawn::new(actix_process::Command::new("/bin/true"));
                    let exit = policy.spawn(spawn).await.unwrap().wait().await.unwrap();
                    lost += usize::from(exit.status.returncode() == 255);
                }
                lost
            })
        });
        let mut lost = 0;
        for worker in workers.collect::<Vec<_>>() {
            lost += worker.await.unwrap();
        }
        let exits = (children / 64 * 64) as f64 / begin.elapsed().as_secs_f64();
        policy.shutdown(Duration::ZERO).await;
        watcher.close();
        (exits, lost)
    })
}

/// CPython's multi-loop watcher takes minutes to register 5,000 children.
const PATIENCE: &str = "90";

/// Runs the namesake; `None`, with a line, where there is no such python3 or watcher, or no result
/// in so many seconds.
fn cpython(what: &str, name: &str, numbers: &[String]) -> Option<Vec<f64>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/watchers.py");
    let mut command = Command::new("timeout");
    command
        .args([PATIENCE, "python3", script])
        .args([what, &format!("{name}ChildWatcher")])
        .args(numbers);
    let output = command.stderr(Stdio::null()).output().ok().filter(|it| it.status.success());
    let Some(output) = output else {
        eprintln!("skipped: python3 has no {name}ChildWatcher here, or takes over {PATIENCE} s");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split_whitespace().map(|number| number.parse().unwrap()).collect())
}

fn median(mut run: impl FnMut() -> f64) -> f64 {
    median_of(|| Some(run())).unwrap()
}

fn median_of(run: impl FnMut() -> Option<f64>) -> Option<f64> {
    middle(std::iter::repeat_with(run).take(ROUNDS).map_while(|value| value).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn text(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.2}"))
}
