//! What the benches share: the children that they run (this very binary, told its part by a
//! variable), the raw spawn, and an actix System with a policy.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

pub mod children;
pub mod paired;
pub mod raw;
pub mod sink;

use std::time::Duration;

use actix_process::{Policy, PolicyHandle};
use nix::sys::resource::{UsageWho, getrusage};

/// Runs `work` with a policy inside an actix System, and ends both.
pub fn with_policy<R>(work: impl AsyncFnOnce(PolicyHandle) -> R) -> R {
    actix::System::new().block_on(async {
        let policy = Policy::start().expect("the policy starts");
        let result = work(policy.clone()).await;
        policy.shutdown(Duration::ZERO).await;
        result
    })
}

pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The CPU time of this process by now, its children's not counted.
pub fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// The middle one of the times of an odd number of rounds.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Whether all of the bench is to run, and not only what a filter names.
pub fn whole() -> bool {
    std::env::args().skip(1).all(|argument| argument.starts_with("--"))
}

/// Whether the bench shall only show that it works, as criterion's own `--test` does.
pub fn short() -> bool {
    std::env::args().any(|argument| argument == "--test")
}
