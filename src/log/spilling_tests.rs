//! The log with its files, step by step: what is written, read back, kept and reported; and how
//! long the longest step takes.

use super::*;
use crate::log::shared::Afterwards;
use crate::{
    Entry, Fact, Source,
    log::{Chunk, LastLines, Limit, Start, Stretch, spill::Store, totals::Totals},
    types::{Quota, Turn},
};
use crossbeam_channel::Receiver;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// A log, and the spill thread's work on it.
struct OnDisk {
    log: MergedLog,
    _rung: Receiver<()>,
    store: Store,
    directory: TempDir,
    /// The longest time that the log was locked, in CPU time of this thread.
    longest: Duration,
}

/// Small turns in a log of this length make as many spans as possible.
const MANY: u64 = 48 * MIB;

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

impl OnDisk {
    fn new(bound: u64, overflow: Overflow, files: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::create(directory.path(), files).unwrap();
        let (wake_thread, _rung) = crossbeam_channel::bounded(1);
        let mut log = MergedLog::new(bound, overflow);
        log.spill_with(wake_thread);
        OnDisk { log, _rung, store, directory, longest: Duration::ZERO }
    }

    /// Runs `work` as if the log were locked, and measures it.
    fn locked<R>(&mut self, work: impl FnOnce(&mut MergedLog) -> R) -> R {
        let begun = now();
        let done = work(&mut self.log);
        self.longest = self.longest.max(now() - begun);
        self.log.after = Afterwards::default();
        done
    }

    /// At most 5 ms, even without optimisation.
    fn was_never_locked_long(&self) {
        println!("locked for {:?} at most", self.longest);
        assert!(
            self.longest < Duration::from_millis(5),
            "the log was locked for {:?}",
            self.longest
        );
    }

    /// A turn with these chunks.
    fn push(&mut self, chunks: impl IntoIterator<Item = (u64, Vec<u8>)>) {
        let end = self.log.end().0;
        let entries = chunks.into_iter().zip(end..).map(|((child, bytes), seq)| {
            let bytes = bytes.into();
            let chunk = Chunk { stream: Source::Stdout, bytes, after_exit: false, writer: None };
            let (child, fact) = (ChildId(child), Fact::Chunk(chunk));
            Entry { seq: Seq(seq), turn: Turn(end), child, fact }
        });
        let entries = entries.collect();
        self.locked(|log| log.append(entries));
    }

    /// Does all of the spill thread's work.
    fn spill(&mut self) {
        while let Some(work) = self.locked(MergedLog::spill_work) {
            match work {
                SpillWork::Free(places) => drop(places),
                SpillWork::Nothing => {}
                SpillWork::Load(cursor, first, place) => {
                    let turns = Some(place.load().unwrap());
                    self.locked(|log| log.spill_loaded(cursor, first, turns));
                }
                SpillWork::Write(write) => match self.store.write(&write.turns).unwrap() {
                    Some(place) => self.locked(|log| log.spilled(&write, place)),
                    None => self.locked(|log| log.spill_is_full(&write)),
                },
            }
        }
    }

    /// Reads everything, files too, and returns the number of bytes.
    fn read_all(&mut self, reader: CursorId) -> u64 {
        let mut bytes = 0;
        while !self.log.is_at_end(reader) {
            if let Some(batch) = self.locked(|log| log.read(reader, Limit::Turns)) {
                assert_eq!(batch.gap(), None);
                bytes += batch.turns.iter().map(|turn| Totals::of(turn).bytes).sum::<u64>();
            }
            self.spill();
        }
        bytes
    }

    fn bytes_in_files(&self) -> u64 {
        let own = std::fs::read_dir(self.directory.path()).unwrap();
        let files = own.flat_map(|own| std::fs::read_dir(own.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }
}

#[test]
fn a_gap_that_is_not_a_readers_does_not_stop_it() {
    let mut it = OnDisk::new(64 * MIB, Overflow::Block, 4 * MIB);
    it.log.set_quota(ChildId(0), Quota { bytes: 1, overflow: Overflow::DropOldest });
    it.push([(1, vec![1])]);
    let reader = it.log.open(Start::At(Seq(40)), true);
    (0..39).for_each(|_| it.push([(0, vec![0; 65536])]));
    it.push([(1, vec![7])]);
    it.log.finish();
    assert!(matches!(it.log.read_or_wait(reader, &mut None), Some(Some(_))));
}

#[test]
fn a_share_that_is_read_before_it_is_written_is_told_of() {
    let mut it = OnDisk::new(8 * MIB, Overflow::Block, 4 * MIB);
    it.log.set_quota(ChildId(0), Quota { bytes: 1000, overflow: Overflow::Spill });
    let reader = it.log.open(Start::Beginning, true);
    (0..8).for_each(|_| it.push([(0, vec![0; 900])]));
    assert_eq!(it.log.quota_changes(), [(ChildId(0), true)]);
    while it.log.read(reader, Limit::Turns).is_some() {}
    assert!(it.log.quota_changes().is_empty());
    assert!(it.log.spill_work().is_some(), "the loop would not look again");
    assert_eq!(it.log.quota_changes(), [(ChildId(0), false)]);
}

#[test]
fn a_share_stays_within_its_bytes_while_the_files_fill_and_empty() {
    const SHARE: u64 = MIB / 4;
    let mut it = OnDisk::new(64 * MIB, Overflow::Block, 64 * MIB);
    it.log.set_quota(ChildId(0), Quota { bytes: SHARE, overflow: Overflow::Spill });
    let _reader = it.log.open(Start::Beginning, true);
    let mut waits = false;
    for _ in 0..100 {
        while !waits {
            it.push([(0, vec![0; 5000])]);
            waits = it.log.quota_changes().iter().any(|(_, waits)| *waits);
        }
        // The files are full, then a little of them is free again.
        if let Some(SpillWork::Write(write)) = it.log.spill_work() {
            it.log.spill_is_full(&write);
        }
        waits = it.log.quota_changes().last().map_or(waits, |(_, waits)| *waits);
        it.log.spilling.full_at = None;
        assert!(it.log.spans.cost() < 2 * SHARE + 3 * 5200, "{:?}", it.log);
    }
}

#[test]
fn a_turn_that_does_not_fit_the_files_does_not_end_spilling() {
    let mut it = OnDisk::new(8 * MIB, Overflow::Spill, 4 * MIB);
    let reader = it.log.open(Start::Beginning, true);
    it.push((0..70).map(|child| (child, vec![0; 65536])));
    it.spill();
    assert_eq!(it.read_all(reader), 70 * 65536);
    for _ in 0..100 {
        it.push([(0, vec![0; 65536])]);
        it.spill();
    }
    assert!(it.bytes_in_files() > MIB, "nothing goes to files any more");
}

#[test]
fn files_keep_nothing_that_everyone_has_read() {
    let mut it = OnDisk::new(8 * MIB, Overflow::Spill, 64 * MIB);
    let reader = it.log.open(Start::Beginning, true);
    it.push([(1, vec![0; 10])]);
    assert!(it.log.read(reader, Limit::Turns).is_some());
    for _ in 0..800 {
        it.push([(0, vec![0; 65536])]);
        it.spill();
    }
    assert!(it.bytes_in_files() > 40 * MIB);
    assert_eq!(it.read_all(reader), 800 * 65536);
    it.spill();
    it.store.leave_unneeded();
    assert_eq!(it.bytes_in_files(), 0);
}

#[test]
fn what_is_in_files_takes_no_room_in_the_log() {
    for overflow in [Overflow::Block, Overflow::Spill] {
        let mut it = OnDisk::new(MIB / 4, overflow, 64 * MIB);
        it.log.set_quota(ChildId(0), Quota { bytes: 1000, overflow: Overflow::Spill });
        let reader = it.log.open(Start::Beginning, true);
        for _ in 0..100_000 {
            it.push([(0, b"x\n".to_vec())]);
            it.spill();
            assert!(it.log.room() > MIB / 16, "the log is full of what is in files");
        }
        assert_eq!(it.read_all(reader), 200_000);
    }
}

#[test]
fn nothing_is_joined_over_what_is_in_files() {
    let mut it = OnDisk::new(MIB / 4, Overflow::Spill, 64 * MIB);
    let reader = it.log.open(Start::Beginning, true);
    it.push([(0, b"password: ".to_vec())]);
    assert!(it.log.read(reader, Limit::Turns).is_some());
    (0..3).for_each(|_| it.push([(0, vec![b'\n'; 65536])]));
    it.spill();
    it.push([(0, b"accepted\n".to_vec())]);
    let mut lines = LastLines::new(ChildId(0), usize::MAX);
    let mut before = Some(it.log.end());
    while let Some(place) = before {
        let (stretches, at) = it.log.stretches_before(ChildId(0), place);
        before = at;
        for stretch in stretches {
            match stretch {
                Stretch::Turn(turn) => assert!(turn.iter().rev().all(|entry| lines.take(entry))),
                Stretch::Hole(at) => lines.cut(at),
            }
        }
    }
    let seen: Vec<_> = lines.finish().into_iter().map(|line| line.line.bytes).collect();
    assert_eq!(seen.first().unwrap(), "password: ");
    assert!(!seen.iter().any(|line| line == "password: accepted"));
}

#[test]
fn what_a_crashed_process_with_this_pid_has_left_is_in_nobodys_way() {
    let directory = TempDir::new().unwrap();
    for number in 0..200 {
        let name = format!("actix-process-{}-{number}", std::process::id());
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    Store::create(directory.path(), 64 * MIB).unwrap();
}

#[test]
fn what_a_share_drops_in_the_middle_of_a_long_log_is_quick() {
    let mut it = OnDisk::new(2 * MANY, Overflow::Block, 4 * MIB);
    it.log.set_quota(ChildId(0), Quota { bytes: MANY / 4, overflow: Overflow::DropOldest });
    let _reader = it.log.open(Start::Beginning, true);
    while it.log.spans.cost() < MANY {
        it.push([(0, vec![b'x'])]);
        it.push([(1, vec![b'x'])]);
        it.push([(0, vec![b'x']), (1, vec![b'x']), (0, vec![b'x'])]);
    }
    it.was_never_locked_long();
}

#[test]
fn what_a_stalled_reader_sends_to_files_is_quick() {
    let mut it = OnDisk::new(MANY, Overflow::Spill, 64 * MIB);
    // Entries that have been read stay before the needed ones.
    while it.log.spans.cost() < MANY - MIB {
        it.push([(0, vec![b'x'])]);
    }
    let reader = it.log.open(Start::Now, true);
    let mut written = 0;
    // The spill thread is late.
    for _ in 0..5 {
        while it.log.room() > MIB {
            it.push([(0, vec![b'x'])]);
            written += 1;
        }
        it.spill();
    }
    assert_eq!(it.read_all(reader), written);
    it.was_never_locked_long();
}

#[test]
fn many_children_in_one_gap_are_quick() {
    let mut it = OnDisk::new(MANY, Overflow::Block, 4 * MIB);
    for child in 0..2_000 {
        it.log.set_quota(ChildId(child), Quota { bytes: 1, overflow: Overflow::DropOldest });
    }
    let _reader = it.log.open(Start::Beginning, true);
    (0..20_000).for_each(|turn| it.push([(turn * 7919 % 2_000, vec![b'x'])]));
    assert!(it.log.spans.cost() < MIB);
    it.was_never_locked_long();
}
