//! What every test runs in: an actix System, one test at a time, a deadline, and a check that
//! neither a descriptor, a child, a thread nor an unexpected panic is left behind.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used)]

pub mod again;
pub mod events;
pub mod recorder;
pub mod storm;
pub mod tool;

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    panic,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use actix_process::{Fault, Intensity, Policy, PolicyBuilder, PolicyHandle, inject};

/// Nothing in a test may take longer.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What is left behind may take this long to go: the kernel ends a thread after its last word.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Runs one test in an actix System of its own.
pub fn run(test: impl AsyncFnOnce()) {
    run_in(|| {
        actix::System::new().block_on(async { within(test()).await });
    });
}

/// Runs one test that brings its own System.
pub fn run_in(test: impl FnOnce()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    record_panics();
    lock(&PANICS).clear();
    let before = Belongings::now();
    test();
    let deadline = Instant::now() + LEFT_BEHIND;
    loop {
        let after = Belongings::now();
        if after == before {
            break;
        }
        assert!(Instant::now() < deadline, "left behind: {before:#?} became {after:#?}");
        thread::sleep(Duration::from_millis(5));
    }
    let panics = std::mem::take(&mut *lock(&PANICS));
    let unexpected: Vec<_> = panics.iter().filter(|panic| !panic.contains("injected: ")).collect();
    assert!(unexpected.is_empty(), "panics were caught: {unexpected:#?}");
}

/// Runs one test with a policy, and shuts that down.
pub fn run_with_policy(test: impl AsyncFnOnce(&PolicyHandle)) {
    run(async || {
        let policy = Policy::start().expect("the policy starts");
        test(&policy).await;
        policy.shutdown(Duration::ZERO).await;
    });
}

/// A policy that restarts its parts so often.
pub fn restarting(restarts: usize) -> PolicyBuilder {
    Policy::builder().intensity(Intensity { restarts, window: Duration::from_secs(60) })
}

/// Runs one test with the launch by `clone3`, and once more with the one by `clone`.
pub fn run_with_both_launches(test: impl AsyncFn(&PolicyHandle)) {
    for by_clone in [0, usize::MAX] {
        run_with_policy(async |policy| {
            // Here no other test runs.
            inject(Fault::SpawnByClone, by_clone);
            test(policy).await;
            inject(Fault::SpawnByClone, 0);
        });
    }
}

/// The length of the stress tests: how many children the longest of them has.
pub fn stress() -> usize {
    std::env::var("ACTIX_PROCESS_STRESS").map_or(10_000, |text| text.parse().unwrap())
}

/// The future's result, or a failed test at the deadline.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("the deadline passed")
}

/// Waits until `what` is so; for facts of the outside world that nobody announces.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "the deadline passed: {what}");
        actix::clock::sleep(Duration::from_millis(1)).await;
    }
}

/// Whether a process exists, zombies included.
pub fn exists(pid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

pub fn open_descriptors() -> usize {
    Belongings::now().descriptors.values().sum()
}

/// How many there are when the ends of pipes that are done with have been closed.
pub async fn open_descriptors_at_rest() -> usize {
    let mut before = open_descriptors();
    let mut same = 0;
    until("the descriptors stay the same", || {
        let now = open_descriptors();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        same == 20
    })
    .await;
    before
}

pub fn children() -> Vec<String> {
    Belongings::now().children
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records every panic of every thread, also those that something catches.
fn record_panics() {
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.to_string();
            if !text.contains("injected: ") {
                default(info);
            }
            lock(&PANICS).push(text);
        }));
        // tokio keeps one pair of sockets for the whole process, made with its first runtime.
        actix::System::new().block_on(async {});
    });
}

/// What this process has: kinds of descriptors, children, threads of actix and of the library.
#[derive(Debug, PartialEq, Eq)]
struct Belongings {
    descriptors: BTreeMap<String, usize>,
    children: Vec<String>,
    threads: usize,
}

impl Belongings {
    fn now() -> Self {
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
            // The listing's own descriptor is gone by now, and so may others be.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            // The C library's allocator has a look at it now and then.
            if target.ends_with("vm/overcommit_memory") {
                continue;
            }
            let kind = target.to_string_lossy().split(':').next().unwrap_or_default().to_owned();
            *descriptors.entry(kind).or_default() += 1;
        }
        let mut children = Vec::new();
        let mut threads = 0;
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            // The test harness starts and ends threads of its own meanwhile.
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            threads += usize::from(name.starts_with("actix-"));
            let of_task = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            children.extend(of_task.split_whitespace().map(str::to_owned));
        }
        children.sort();
        Belongings { descriptors, children, threads }
    }
}
