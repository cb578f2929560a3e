//! What is short only for a moment, or for a user without privileges, is no reason to run worse for
//! ever: locked memory for rings, and the quota of pipes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, os::fd::AsFd, time::Duration};

use actix_process::{Child, Command, Driver, Policy, PolicyHandle, Stdin};
use bytes::Bytes;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::resource::{Resource, setrlimit},
    unistd::pipe2,
};
use support::{again, run, run_with_policy, until, within};

/// In a process of its own, as a user who shares no limit with another one. `false` where that
/// process is to be left alone.
fn as_another_user(test: &str, tell: &str) -> Option<String> {
    let told = again::told();
    if told.is_none() {
        again::run(test, tell);
        return None;
    }
    if !again::become_another_user() {
        eprintln!("skipped: only root can become a user whose limits are untouched");
        return None;
    }
    told
}

fn one_after_the_other(kib: u64, policies: usize) {
    setrlimit(Resource::RLIMIT_MEMLOCK, kib * 1024, kib * 1024).unwrap();
    run(async || {
        // Where the kernel has no such ring, there is nothing to fall back from.
        for number in 0..policies {
            let policy = Policy::start().unwrap();
            let forced = std::env::var_os("ACTIX_PROCESS_DRIVER").is_some();
            assert!(policy.driver() == Driver::Ring || forced, "policy {number} fell back");
            policy.shutdown(Duration::ZERO).await;
        }
    });
}

fn ring_works_here() -> bool {
    let mut works = false;
    run(async || {
        let policy = Policy::start().unwrap();
        works = policy.driver() == Driver::Ring;
        policy.shutdown(Duration::ZERO).await;
    });
    works
}

#[test]
fn a_hundred_policies_in_turn_with_little_memory_to_lock_all_have_a_ring() {
    const TEST: &str = "a_hundred_policies_in_turn_with_little_memory_to_lock_all_have_a_ring";
    if again::told().is_none() && !ring_works_here() {
        return;
    }
    if as_another_user(TEST, "it").is_some() {
        one_after_the_other(512, 100);
    }
}

#[test]
fn also_with_the_least_that_systems_give() {
    const TEST: &str = "also_with_the_least_that_systems_give";
    if again::told().is_none() && !ring_works_here() {
        return;
    }
    if as_another_user(TEST, "it").is_some() {
        one_after_the_other(64, 20);
    }
}

fn size_of_a_new_pipe() -> usize {
    let (reader, _writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    usize::try_from(fcntl(reader.as_fd(), FcntlArg::F_GETPIPE_SZ).unwrap()).unwrap()
}

/// How many quiet children there are when new pipes get smaller, counted in tens.
async fn children_until_pipes_shrink(
    policy: &PolicyHandle,
    stdin: fn() -> Stdin,
    most: usize,
) -> usize {
    let usual = size_of_a_new_pipe();
    let mut children: Vec<Child> = Vec::new();
    while size_of_a_new_pipe() == usual && children.len() < most {
        let sleep = || policy.spawn(Command::new("sleep").arg("1000").stdin(stdin()));
        children.extend(futures::future::try_join_all((0..10).map(|_| sleep())).await.unwrap());
    }
    children.len()
}

#[test]
fn the_pipe_quota_of_a_user_lasts_for_many_children() {
    const TEST: &str = "the_pipe_quota_of_a_user_lasts_for_many_children";
    let quota: usize =
        fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").unwrap().trim().parse().unwrap();
    if quota == 0 {
        return;
    }
    for (tell, pipes, stdin) in
        [("null", 2, (|| Stdin::Null) as fn() -> Stdin), ("piped", 3, || Stdin::Piped)]
    {
        if let Some(told) = again::told() {
            if told != tell {
                continue;
            }
            if !again::become_another_user() {
                eprintln!("skipped: only root can become a user whose limits are untouched");
                return;
            }
            run_with_policy(async |policy| {
                // Sixteen pages for each pipe, and one for the status; some are the test's own.
                let expected = quota / (pipes * 16 + 1);
                let most = children_until_pipes_shrink(policy, stdin, expected + 100).await;
                println!("{most} quiet children with {pipes} pipes each");
                assert!(most >= expected * 9 / 10, "{most} children, {expected} were expected");
            });
        } else {
            again::run(TEST, tell);
        }
    }
}

/// The sizes of the pipes that this process writes to.
fn written_pipes() -> Vec<i32> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let is_pipe = |path: std::path::PathBuf| path.to_string_lossy().starts_with("pipe:");
        if !fs::read_link(entry.path()).is_ok_and(is_pipe) {
            continue;
        }
        let number = entry.file_name().to_string_lossy().into_owned();
        let flags = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let writes = flags.lines().any(|line| line.starts_with("flags:") && line.ends_with('1'));
        if writes && let Ok(pipe) = fs::File::open(entry.path()) {
            sizes.push(fcntl(&pipe, FcntlArg::F_GETPIPE_SZ).unwrap());
        }
    }
    sizes
}

#[test]
fn an_input_that_was_seen_full_grows_and_another_one_does_not() {
    run_with_policy(async |policy| {
        let large = || written_pipes().into_iter().filter(|size| *size == 256 * 1024).count();
        let before = large();
        let sleeping = || policy.spawn(Command::new("sleep").arg("1000").stdin(Stdin::Piped));
        let (little, much) = (sleeping().await.unwrap(), sleeping().await.unwrap());
        little.stdin().unwrap().write("little").unwrap();
        within(little.stdin().unwrap().flush()).await.unwrap();
        assert_eq!(large(), before);
        // The usual 64 KiB would not take it all.
        much.stdin().unwrap().write(Bytes::from(vec![0; 200_000])).unwrap();
        within(much.stdin().unwrap().flush()).await.unwrap();
        until("one has grown", || large() == before + 1).await;
    });
}
