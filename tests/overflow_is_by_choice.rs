//! Promise 4, for readers that are far behind: what happens is what was chosen, for the log and for
//! one child's share, and every byte is delivered or counted in a gap.
//!
//! `ACTIX_PROCESS_BEHIND_MIB` sets how far the slow subscriber is behind (1,024 by default).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use actix::{Actor, Arbiter, Context, Handler};
use actix_process::{
    ChildId, Command, Fact, Fault, Lifecycle, LogReader, OutputBatch, Overflow, Policy,
    PolicyBuilder, PolicyHandle, SpawnStep, Start, StartError, Subscribe, inject,
    log::Gap,
    recording::{ReplayError, replay_spilled},
};
use support::{lock, recorder, within};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// What a subscriber has had, by child, and in gaps.
#[derive(Default)]
struct Counts {
    delivered: HashMap<ChildId, u64>,
    gaps: Vec<Gap>,
    next: u64,
}

impl Counts {
    fn of(&self, child: ChildId) -> u64 {
        self.delivered.get(&child).copied().unwrap_or(0)
    }

    fn lost(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.bytes).sum()
    }
}

/// A subscriber that can be held up, and keeps nothing.
#[derive(Clone, Default)]
struct Slow {
    counts: Arc<Mutex<Counts>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Actor for Slow {
    type Context = Context<Self>;
}

impl Handler<OutputBatch> for Slow {
    type Result = ();

    fn handle(&mut self, batch: OutputBatch, _: &mut Self::Context) {
        let (open, changed) = &*self.gate;
        let waited = changed.wait_timeout_while(lock(open), Duration::from_secs(60), |it| !*it);
        assert!(!waited.unwrap().1.timed_out(), "the gate was never opened");
        let mut counts = lock(&self.counts);
        if let Some(gap) = batch.gap() {
            assert_eq!(gap.first.get(), counts.next, "the sequence has a hole");
            counts.next = gap.last.get() + 1;
            counts.gaps.push(gap);
        }
        for entry in batch.entries() {
            assert_eq!(entry.seq.get(), counts.next, "the sequence has a hole");
            counts.next += 1;
            if let Fact::Chunk(chunk) = &entry.fact {
                *counts.delivered.entry(entry.child).or_default() += chunk.bytes.len() as u64;
            }
        }
    }
}

impl Slow {
    fn open(&self) {
        *lock(&self.gate.0) = true;
        self.gate.1.notify_all();
    }

    async fn until(&self, what: &str, so: impl Fn(&Counts) -> bool) {
        support::until(what, || so(&lock(&self.counts))).await;
    }
}

fn zeros(bytes: u64) -> Command {
    Command::new("head").args(["-c", &bytes.to_string(), "/dev/zero"])
}

/// A policy with a log of 1 MiB, and a subscriber to all output, held up.
async fn held_up(overflow: Overflow, directory: &Path) -> (PolicyHandle, Slow, Arbiter) {
    let policy = builder(overflow, directory).start().unwrap();
    let arbiter = Arbiter::new();
    let slow = Slow::default();
    let theirs = slow.clone();
    let address = Slow::start_in_arbiter(&arbiter.handle(), |_| theirs);
    policy.subscribe(Subscribe::output(address.recipient())).await.unwrap();
    (policy, slow, arbiter)
}

fn builder(overflow: Overflow, directory: &Path) -> PolicyBuilder {
    Policy::builder().log_bound(MIB).overflow(overflow).spill(directory, 4096 * MIB)
}

async fn end(policy: PolicyHandle, arbiter: Arbiter) {
    policy.shutdown(Duration::ZERO).await;
    arbiter.stop();
    arbiter.join().unwrap();
}

fn bytes_in_files(directory: &Path) -> u64 {
    let own = fs::read_dir(directory).unwrap();
    let files = own.flat_map(|own| fs::read_dir(own.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// How far the slow subscriber is behind, in bytes.
fn behind() -> u64 {
    let mib = std::env::var("ACTIX_PROCESS_BEHIND_MIB");
    MIB * mib.map_or(1024, |text| text.parse::<u64>().unwrap())
}

/// A child is as far ahead of a subscriber as it may be: bytes delivered, and bytes in gaps.
async fn far_behind(overflow: Overflow) -> (u64, u64) {
    let written = behind();
    let directory = TempDir::new().unwrap();
    let (policy, slow, arbiter) = held_up(overflow, directory.path()).await;
    let child = policy.spawn(zeros(written)).await.unwrap();
    if overflow == Overflow::Block {
        let waited = tokio::time::timeout(Duration::from_millis(200), child.wait());
        assert!(waited.await.is_err(), "the child was not blocked");
    } else {
        // Nobody waits for the subscriber.
        within(child.wait()).await.unwrap();
    }
    if overflow == Overflow::Spill {
        let in_files = bytes_in_files(directory.path());
        assert!(in_files > written - written / 8, "{in_files} of {written} are in files");
    }
    slow.open();
    slow.until("all is accounted for", |counts| counts.of(child.id()) + counts.lost() >= written)
        .await;
    let (delivered, lost) = {
        let counts = lock(&slow.counts);
        (counts.of(child.id()), counts.lost())
    };
    assert_eq!(delivered + lost, written);
    end(policy, arbiter).await;
    assert_eq!(files(directory.path()), 0, "files are left");
    (delivered, lost)
}

#[test]
fn a_subscriber_far_behind_blocks_the_children() {
    support::run(async || assert_eq!(far_behind(Overflow::Block).await.1, 0));
}

#[test]
fn a_subscriber_far_behind_is_told_what_it_missed() {
    support::run(async || {
        let (delivered, lost) = far_behind(Overflow::DropOldest).await;
        assert!(lost > delivered, "{delivered} delivered, {lost} lost");
    });
}

#[test]
fn a_subscriber_far_behind_has_its_output_back_from_files() {
    support::run(async || assert_eq!(far_behind(Overflow::Spill).await.1, 0));
}

/// A chatty child with a share of its own, beside a quiet one that writes some lines.
async fn beside_a_chatty_one(share: Overflow) -> (PolicyHandle, Arbiter, Vec<Gap>) {
    const CHATTY: u64 = 32 * MIB;
    let directory = TempDir::new().unwrap();
    let (policy, slow, arbiter) = held_up(Overflow::Block, directory.path()).await;
    let chatty = policy.spawn(zeros(CHATTY).log_share(128 * 1024, share)).await.unwrap();
    let quiet = Command::shell("for n in $(seq 200); do echo a line of text; done");
    let quiet = policy.spawn(quiet).await.unwrap();
    // The log has room for it, whatever the other one does.
    within(quiet.wait()).await.unwrap();
    if share == Overflow::Block {
        assert!(chatty.try_wait().is_none(), "it was not blocked");
    } else {
        within(chatty.wait()).await.unwrap();
    }
    slow.open();
    slow.until("all is accounted for", |counts| {
        counts.of(chatty.id()) + counts.lost() >= CHATTY && counts.of(quiet.id()) >= 200 * 15
    })
    .await;
    within(chatty.wait()).await.unwrap();
    let gaps = {
        let counts = lock(&slow.counts);
        assert_eq!(counts.of(chatty.id()) + counts.lost(), CHATTY);
        assert_eq!(counts.of(quiet.id()), 200 * 15);
        assert!(counts.gaps.iter().all(|gap| gap.concerns(chatty.id())));
        assert!(!counts.gaps.iter().any(|gap| gap.concerns(quiet.id())));
        counts.gaps.clone()
    };
    (policy, arbiter, gaps)
}

#[test]
fn a_chatty_child_uses_up_its_own_share_only() {
    for (share, loses) in
        [(Overflow::Block, false), (Overflow::DropOldest, true), (Overflow::Spill, false)]
    {
        support::run(async || {
            let (policy, arbiter, gaps) = beside_a_chatty_one(share).await;
            assert_eq!(!gaps.is_empty(), loses, "{share:?}");
            end(policy, arbiter).await;
        });
    }
}

#[test]
fn a_share_that_goes_to_files_and_comes_back_all_the_time_never_stops() {
    support::run(async || {
        let directory = TempDir::new().unwrap();
        let policy = builder(Overflow::Block, directory.path()).start().unwrap();
        let mut reader = policy.log(Start::Beginning);
        let chatty = zeros(256 * MIB).log_share(1000, Overflow::Spill);
        let child = policy.spawn(chatty).await.unwrap();
        read(&mut reader, 256 * MIB).await;
        within(child.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_reader_goes_on_from_the_files_when_the_policy_has_ended() {
    support::run(async || {
        let directory = TempDir::new().unwrap();
        let policy = builder(Overflow::Spill, directory.path()).start().unwrap();
        let mut reader = policy.log(Start::Beginning);
        let child = policy.spawn(zeros(16 * MIB)).await.unwrap();
        within(child.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        assert_eq!(files(directory.path()), 0, "files are left");
        let mut bytes = 0;
        while let Some(batch) = within(reader.next()).await {
            assert_eq!(batch.gap(), None);
            bytes += bytes_in(&batch);
        }
        assert_eq!(bytes, 16 * MIB);
    });
}

/// Reads so many bytes, and no gap.
async fn read(reader: &mut LogReader, wanted: u64) {
    let mut bytes = 0;
    while bytes < wanted {
        let batch = within(reader.next()).await.unwrap();
        assert_eq!(batch.gap(), None);
        bytes += bytes_in(&batch);
    }
}

fn bytes_in(batch: &actix_process::log::Batch) -> u64 {
    let chunks = batch.entries().map(|entry| match &entry.fact {
        Fact::Chunk(chunk) => chunk.bytes.len() as u64,
        _ => 0,
    });
    chunks.sum()
}

#[test]
fn files_that_are_full_block_the_child_until_they_are_read() {
    support::run(async || {
        let directory = TempDir::new().unwrap();
        let policy = builder(Overflow::Spill, directory.path()).spill(directory.path(), 4 * MIB);
        let policy = policy.start().unwrap();
        let mut reader = policy.log(Start::Beginning);
        let child = policy.spawn(zeros(64 * MIB)).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(200), child.wait());
        assert!(waited.await.is_err(), "the child was not blocked");
        read(&mut reader, 64 * MIB).await;
        within(child.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}

/// What is in force is told, also to who comes late; the children and the log go on.
async fn falls_back_to_block(policy: PolicyHandle) {
    let mut reader = policy.log(Start::Now);
    let child = policy.spawn(zeros(16 * MIB)).await.unwrap();
    let (recorder, record) = recorder::start();
    policy.subscribe(Subscribe::lifecycle(recorder.recipient())).await.unwrap();
    record
        .until(|record| {
            record.lifecycle().iter().any(|event| matches!(event, Lifecycle::SpillFailed(_)))
        })
        .await;
    let waited = tokio::time::timeout(Duration::from_millis(200), child.wait());
    assert!(waited.await.is_err(), "the child was not blocked");
    read(&mut reader, 16 * MIB).await;
    within(child.wait()).await.unwrap();
    policy.shutdown(Duration::ZERO).await;
}

#[test]
fn a_directory_that_is_of_no_use_blocks_the_children_instead() {
    support::run(async || {
        // Nothing can be made in /proc, whoever one is.
        for directory in ["/nowhere/at/all", "/proc"] {
            let policy = builder(Overflow::Spill, Path::new(directory)).start().unwrap();
            falls_back_to_block(policy).await;
        }
    });
}

#[test]
fn a_disk_that_is_full_blocks_the_children_and_what_was_written_before_comes_back() {
    for (fault, times) in [(Fault::SpillWrite, 1), (Fault::SpillThread, 1), (Fault::SpillThread, 3)]
    {
        support::run(async || {
            let directory = TempDir::new().unwrap();
            let policy = builder(Overflow::Spill, directory.path()).start().unwrap();
            let mut reader = policy.log(Start::Beginning);
            let before = policy.spawn(zeros(8 * MIB)).await.unwrap();
            within(before.wait()).await.unwrap();
            inject(fault, times);
            read(&mut reader, 8 * MIB).await;
            drop(reader);
            falls_back_to_block(policy).await;
            inject(fault, 0);
            assert_eq!(files(directory.path()), 0);
        });
    }
}

#[test]
fn bounds_that_make_no_sense_are_refused() {
    support::run(async || {
        for bytes in [0, 1000] {
            let refused = Policy::builder().log_bound(bytes).start().unwrap_err();
            assert!(matches!(refused, StartError::LogBound { bytes: it, .. } if it == bytes));
            let refused = Policy::builder().spill("/tmp", bytes).start().unwrap_err();
            assert!(matches!(refused, StartError::SpillBound { bytes: it, .. } if it == bytes));
        }
        let refused = Policy::builder().overflow(Overflow::Spill).start().unwrap_err();
        assert!(matches!(refused, StartError::NoSpillDirectory));
        let policy = Policy::start().unwrap();
        let refused = policy.spawn(Command::new("true").log_share(0, Overflow::Block)).await;
        assert_eq!(refused.unwrap_err().step, SpawnStep::CheckCommand);
        policy.shutdown(Duration::ZERO).await;
    });
}

const CRASHES_IN: &str = "ACTIX_PROCESS_TEST_CRASHES_IN";

/// Not a test of its own: what the next one runs in a process that it kills.
#[test]
fn spills_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CRASHES_IN) else { return };
    actix::System::new().block_on(async {
        let policy = builder(Overflow::Spill, Path::new(&directory)).start().unwrap();
        let _reader = policy.log(Start::Beginning);
        policy.spawn(zeros(8 * MIB)).await.unwrap().wait().await.unwrap();
        std::process::abort();
    });
}

#[test]
fn what_a_crash_leaves_is_replayed_and_a_torn_tail_is_cut() {
    support::run(async || {
        let directory = TempDir::new().unwrap();
        let killed = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spills_until_it_is_killed"])
            .env(CRASHES_IN, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!killed.success());
        let replay = |directory: &Path| {
            let mut next = 0;
            let mut bytes = 0;
            let mut torn = 0;
            for batch in replay_spilled(directory).unwrap() {
                match batch {
                    Ok(batch) => {
                        for entry in batch.entries() {
                            assert_eq!(entry.seq.get(), next);
                            next += 1;
                        }
                        bytes += bytes_in(&batch);
                    }
                    Err(ReplayError::Torn) => torn += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (bytes, torn)
        };
        let (whole, torn) = replay(directory.path());
        assert!(whole >= 6 * MIB, "{whole} bytes were spilled");
        if torn > 0 {
            // The crash came in the middle of the last write, and has torn it itself.
            assert_eq!(torn, 1);
            return;
        }
        // The last write of the crash did not reach the disk whole.
        let own = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let last = fs::read_dir(own).unwrap().map(|file| file.unwrap().path()).max().unwrap();
        let file = fs::File::options().write(true).open(&last).unwrap();
        file.set_len(file.metadata().unwrap().len() - 100).unwrap();
        let (cut, torn) = replay(directory.path());
        assert!(cut < whole && whole - cut < 2 * MIB, "{cut} of {whole} bytes are left");
        assert_eq!(torn, 1);
    });
}
