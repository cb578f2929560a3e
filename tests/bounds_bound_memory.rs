//! What keeps chunks costs at most twice the bytes that it is allowed, and 1 MiB: counted by the
//! allocator of this program.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use actix_process::{
    Child, Command, Fact, Overflow, Policy, PolicyHandle, Start, Stdin, log::SpawnOrder,
};
use support::{run, within};

const MIB: usize = 1024 * 1024;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator; only numbers are kept.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(cost(layout.size()), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(cost(layout.size()), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(cost(layout.size()), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What the C library's allocator takes for so many bytes.
fn cost(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

fn live() -> usize {
    LIVE.load(Relaxed)
}

/// A child that writes these bytes each time that it is given a line, so one chunk a turn; and one
/// that is never quiet.
async fn writer(policy: &PolicyHandle, bytes: usize) -> Child {
    let text = "x".repeat(bytes);
    let line = format!("while read go; do printf {text}; done");
    policy.spawn(Command::shell(line).stdin(Stdin::Piped)).await.unwrap()
}

/// Lets it write so often, each time in a turn of its own.
async fn write(policy: &PolicyHandle, child: &Child, times: usize) {
    let stdin = child.stdin().unwrap();
    let mut log = policy.log(Start::Now);
    for _ in 0..times {
        stdin.write("\n").unwrap();
        let mut seen = false;
        while !seen {
            let batch = within(log.next()).await.unwrap();
            seen = batch.entries().any(|entry| entry.child == child.id());
        }
    }
}

async fn end(policy: &PolicyHandle) {
    policy.shutdown(std::time::Duration::ZERO).await;
}

#[test]
fn the_output_of_a_child_that_writes_little_beside_one_that_writes_much() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let chatty = policy.spawn(Command::new("yes")).await.unwrap();
        let child = writer(&policy, 10).await;
        let output = Box::pin(child.output());
        let waiting = actix::spawn({
            let child = child.clone();
            async move { child.output().await.unwrap() }
        });
        drop(output);
        tokio::task::yield_now().await;
        let before = live();
        let mut log = policy.log(Start::Now);
        let stdin = child.stdin().unwrap();
        const TIMES: usize = 12_000;
        for _ in 0..TIMES {
            stdin.write("\n").unwrap();
            while !within(log.next()).await.unwrap().entries().any(|it| it.child == child.id()) {}
        }
        drop(log);
        let held = live().saturating_sub(before);
        // The log's own bound, and what was collected.
        let allowed = 256 * 1024 + 10 * TIMES;
        chatty.kill().await.unwrap();
        stdin.write_eof().unwrap();
        let collected = within(waiting).await.unwrap();
        assert_eq!(collected.stdout.len() as u64 + collected.missing, 10 * TIMES as u64);
        assert_eq!(collected.missing, 0);
        println!("{held} bytes for {allowed}");
        assert!(held < 2 * allowed + MIB, "{held} bytes for {allowed}");
        end(&policy).await;
    });
}

#[test]
fn the_log_with_tiny_chunks_one_a_turn() {
    for bytes in [1, 10] {
        run(async || {
            const BOUND: usize = 2 * MIB;
            let policy = Policy::builder().log_bound(BOUND as u64).start().unwrap();
            let child = writer(&policy, bytes).await;
            write(&policy, &child, 10).await;
            let before = live();
            write(&policy, &child, 24_000).await;
            let held = live().saturating_sub(before);
            println!("{bytes}-byte chunks: {held} bytes for a log of {BOUND}");
            assert!(held > BOUND / 2, "the log is not full: {held}");
            assert!(held < 2 * BOUND + MIB / 2, "{held} bytes for a log of {BOUND}");
            end(&policy).await;
        });
    }
}

#[test]
fn what_a_share_has_dropped_is_not_kept_by_its_neighbours() {
    run(async || {
        let policy = Policy::builder().log_bound(64 * MIB as u64).start().unwrap();
        let chatty = Command::shell("head -c 30000000 /dev/zero")
            .log_share(256 * 1024, Overflow::DropOldest);
        let small = Command::shell("for i in $(seq 2000); do echo $i; done");
        let before = live();
        let children = [policy.spawn(chatty).await.unwrap(), policy.spawn(small).await.unwrap()];
        for child in &children {
            within(child.wait()).await.unwrap();
        }
        let held = live().saturating_sub(before);
        let allowed = 256 * 1024 + 2_000 * 200;
        println!("{held} bytes for {allowed}");
        assert!(held < 2 * allowed + MIB, "{held} bytes for {allowed}");
        end(&policy).await;
    });
}

#[test]
fn entries_that_wait_for_their_turn() {
    run(async || {
        let policy = Policy::builder().log_bound(256 * 1024).start().unwrap();
        let chatty = policy.spawn(Command::new("yes")).await.unwrap();
        let child = writer(&policy, 10).await;
        let mut order = SpawnOrder::default();
        let mut log = policy.log(Start::Beginning);
        let stdin = child.stdin().unwrap();
        let before = live();
        const TIMES: usize = 2_000;
        let mut chunks = 0;
        stdin.write("\n").unwrap();
        while chunks < TIMES {
            let batch = within(log.next()).await.unwrap();
            for entry in batch.entries() {
                order.push(entry, drop);
                if entry.child == child.id() && matches!(entry.fact, Fact::Chunk(_)) {
                    chunks += 1;
                    stdin.write("\n").unwrap();
                }
            }
        }
        drop(log);
        let held = live().saturating_sub(before);
        let allowed = 256 * 1024 + TIMES * (10 + 200);
        println!("{held} bytes for {allowed}");
        assert!(held < 2 * allowed + MIB, "{held} bytes for {allowed}");
        chatty.kill().await.unwrap();
        end(&policy).await;
    });
}
