//! Property tests of the log: gapless, per-pipe order, bound, cursors.

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;

use tempfile::TempDir;

use super::*;
use crate::{
    ChildId, Source,
    log::{Batch, Chunk, Fact, Limit, SpillWork, Start, spill::Store, totals::ENTRY_COST},
    types::Turn,
};

/// One step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// A turn with chunks of these lengths from these children.
    Turn(Vec<(u64, usize)>),
    /// A reader, at the beginning, at this part of 1,000 of the log (or past it), or now.
    Open {
        lossless: bool,
        place: Option<u64>,
    },
    /// A reader takes whole turns, or this many bytes.
    Read(usize, Option<u64>),
    Close(usize),
    /// The spill thread does this many things.
    Spill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec((0_u64..3, 1_usize..600), 1..6).prop_map(Step::Turn),
        1 => (any::<bool>(), proptest::option::of(0_u64..1_100))
            .prop_map(|(lossless, place)| Step::Open { lossless, place }),
        3 => (0_usize..4, proptest::option::of(1_u64..1_500))
            .prop_map(|(reader, part)| Step::Read(reader, part)),
        1 => (0_usize..4).prop_map(Step::Close),
        2 => (0_usize..4).prop_map(Step::Spill),
    ]
}

/// What a reader of the model has received.
struct Reader {
    id: CursorId,
    lossless: bool,
    next: u64,
    /// The first entry that the reader must receive.
    first: u64,
    /// Whether a gap may still begin before the entry that the reader asked for.
    fresh: bool,
    /// The log's end when the reader began: entries dropped before that are not the reader's loss.
    opened: u64,
    delivered: u64,
    gaps: u64,
}

const BOUND: u64 = 4_096;

/// A log beside a model of it: what was written, and what each reader received.
struct Model {
    log: MergedLog,
    /// The spill thread's files.
    store: Option<Store>,
    _directory: TempDir,
    readers: Vec<Reader>,
    written: u64,
    /// The bytes before each entry.
    before: Vec<u64>,
    /// The next byte of each child, whose bytes count upwards.
    next_byte: HashMap<u64, u8>,
    /// How far each reader has come in each child's bytes.
    seen: HashMap<(CursorId, u64), u8>,
    turn: u64,
}

/// The child whose quota drops the oldest chunks.
const DROPS: u64 = 0;
/// The child whose quota spills to files.
const SPILLS: u64 = 1;
/// The child whose quota blocks it.
const BLOCKS: u64 = 2;

impl Model {
    fn new(overflow: Overflow, quotas: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let mut log = MergedLog::new(BOUND, overflow);
        let (wake_thread, _) = crossbeam_channel::bounded(1);
        log.spill_with(wake_thread);
        if quotas {
            let share = |overflow| Quota { bytes: 700, overflow };
            log.set_quota(ChildId(DROPS), share(Overflow::DropOldest));
            log.set_quota(ChildId(SPILLS), share(Overflow::Spill));
            log.set_quota(ChildId(BLOCKS), share(Overflow::Block));
        }
        Model {
            log,
            store: Some(Store::create(directory.path(), 64 * 1024).unwrap()),
            _directory: directory,
            readers: Vec::new(),
            written: 0,
            before: Vec::new(),
            next_byte: HashMap::new(),
            seen: HashMap::new(),
            turn: 0,
        }
    }

    /// Does one step of the spill thread's work. Returns false if there is none.
    fn spill(&mut self) -> bool {
        let Some(store) = &mut self.store else { return false };
        let Some(work) = self.log.spill_work() else { return false };
        match work {
            SpillWork::Free(places) => drop(places),
            SpillWork::Nothing => {}
            SpillWork::Load(cursor, first, place) => {
                self.log.spill_loaded(cursor, first, Some(place.load().unwrap()));
            }
            SpillWork::Write(write) => match store.write(&write.turns).unwrap() {
                Some(place) => self.log.spilled(&write, place),
                None => self.log.spill_is_full(&write),
            },
        }
        true
    }

    /// The sums equal the costs of the spans.
    fn check_costs(&self) -> Result<(), TestCaseError> {
        let spans: Vec<_> = self.log.spans.from(Seq(0)).collect();
        let whole = spans.windows(2).all(|two| two[0].after == two[1].first);
        prop_assert!(whole, "the spans have a hole, or are not in order");
        prop_assert_eq!(self.log.spans.cost(), spans.iter().map(|span| span.cost()).sum::<u64>());
        let lossless = || self.log.cursors.values().filter(|cursor| cursor.lossless);
        prop_assert_eq!(self.log.needs.first(), lossless().map(|cursor| cursor.next).min());
        for cursor in lossless() {
            let needed = spans.iter().filter(|span| span.after > cursor.next);
            let cost = needed.map(|span| span.cost()).sum::<u64>();
            prop_assert_eq!(self.log.spans.cost_from(cursor.next), cost, "what a cursor is behind");
        }
        Ok(())
    }

    fn append(&mut self, chunks: Vec<(u64, usize)>) {
        self.turn += 1;
        let mut entries = Vec::new();
        for (place, (child, len)) in chunks.into_iter().enumerate() {
            let next = self.next_byte.entry(child).or_default();
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    *next = next.wrapping_add(1);
                    *next
                })
                .collect();
            self.before.push(self.written);
            self.written += len as u64;
            let chunk = Chunk {
                stream: Source::Stdout,
                bytes: bytes.into(),
                after_exit: false,
                writer: None,
            };
            entries.push(Entry {
                seq: Seq(self.log.end().0 + place as u64),
                turn: Turn(self.turn),
                child: ChildId(child),
                fact: Fact::Chunk(chunk),
            });
        }
        self.log.append(entries);
    }

    fn open(&mut self, lossless: bool, place: Option<u64>) {
        let end = self.log.end().0;
        let (start, next) = match place {
            Some(0) => (Start::Beginning, 0),
            Some(place) => (Start::At(Seq(end * place / 1_000)), end * place / 1_000),
            None => (Start::Now, end),
        };
        let id = self.log.open(start, lossless);
        let first = next;
        let opened = end;
        let reader =
            Reader { id, lossless, next, first, fresh: true, opened, delivered: 0, gaps: 0 };
        self.readers.push(reader);
    }

    fn bytes_before(&self, seq: u64) -> u64 {
        self.before.get(seq as usize).copied().unwrap_or(self.written)
    }

    /// Reads as a reader does, and loads file ranges itself if no spill thread does.
    fn read_on(log: &mut MergedLog, id: CursorId, limit: Limit) -> Option<Batch> {
        loop {
            if let Some(batch) = log.read(id, limit) {
                return Some(batch);
            }
            let (first, place) = log.load_for(id)?;
            log.spill_loaded(id, first, Some(place.load().unwrap()));
        }
    }

    fn read(&mut self, reader: usize, part: Option<u64>) -> Result<(), TestCaseError> {
        let limit = part.map_or(Limit::Turns, Limit::Entries);
        let Some(reader) = self.readers.get_mut(reader) else { return Ok(()) };
        let id = reader.id;
        let more = self.log.has_more(id);
        let Some(batch) = Self::read_on(&mut self.log, id, limit) else {
            let waits = self.log.cursors[&id].loading;
            let at_end = reader.next >= self.log.end().0;
            prop_assert!(waits || at_end, "nothing to read before the end");
            return Ok(());
        };
        prop_assert!(more, "it was said that there is nothing");
        if let Some(gap) = batch.gap() {
            let of_a_share = gap.concerned == Concerned::only(ChildId(DROPS));
            prop_assert!(
                !reader.lossless || gap.last.0 < reader.opened || of_a_share,
                "a lossless reader lost bytes"
            );
            if std::mem::take(&mut reader.fresh) {
                prop_assert!(gap.first <= Seq(reader.next), "what was asked for is missing");
                (reader.next, reader.first) = (gap.first.0, gap.first.0);
            }
            prop_assert_eq!(gap.first, Seq(reader.next), "a gap stands in place of what is gone");
            prop_assert_eq!(gap.chunks, gap.last.0 - gap.first.0 + 1);
            reader.next = gap.last.0 + 1;
            reader.gaps += gap.bytes;
            self.seen.retain(|(id, child), _| *id != reader.id || !gap.concerns(ChildId(*child)));
        }
        for entry in batch.entries() {
            reader.fresh = false;
            prop_assert_eq!(entry.seq, Seq(reader.next), "the sequence has a hole");
            reader.next += 1;
            let Fact::Chunk(chunk) = &entry.fact else { unreachable!("only chunks are appended") };
            reader.delivered += chunk.bytes.len() as u64;
            let mut last = self.seen.get(&(reader.id, entry.child.0)).copied();
            for &byte in &chunk.bytes {
                prop_assert!(last.is_none_or(|last| byte == last.wrapping_add(1)), "out of order");
                last = Some(byte);
            }
            self.seen.extend(last.map(|last| ((reader.id, entry.child.0), last)));
        }
        Ok(())
    }

    fn check_bound(&self, largest_turn: u64) -> Result<(), TestCaseError> {
        let held = self.log.spans.cost();
        let lossless = self.readers.iter().any(|reader| reader.lossless);
        prop_assert!(lossless || held <= BOUND + largest_turn, "{held} bytes are over the bound");
        self.check_costs()
    }
}

proptest! {
    #[test]
    fn every_reader_gets_each_entry_once_in_order_or_counted_in_a_gap(
        steps in proptest::collection::vec(step(), 1..120),
        spills in any::<bool>(),
        quotas in any::<bool>(),
        at_the_end in any::<bool>(),
        last_parts in proptest::option::of(1_u64..1_500),
    ) {
        let overflow = if spills { Overflow::Spill } else { Overflow::Block };
        let mut model = Model::new(overflow, quotas);
        for step in steps {
            match step {
                Step::Turn(chunks) => {
                    // The read loop reads only while there is room.
                    if model.log.room() > 0 {
                        model.append(chunks);
                    }
                }
                Step::Open { lossless, place } => model.open(lossless, place),
                Step::Read(reader, part) => model.read(reader, part)?,
                Step::Close(reader) if reader < model.readers.len() => {
                    let reader = model.readers.remove(reader);
                    model.log.close(reader.id);
                }
                Step::Close(_) => {}
                Step::Spill(times) => {
                    (0..times).take_while(|_| model.spill()).for_each(drop);
                }
            }
            model.check_bound(6 * (600 + ENTRY_COST))?;
        }
        if at_the_end {
            // Files that are still needed outlive their directory.
            model.log.finish();
            model.store = None;
        }
        for reader in 0..model.readers.len() {
            let id = model.readers[reader].id;
            while !model.log.is_at_end(id) {
                model.read(reader, last_parts)?;
                model.spill();
            }
            let reader = &model.readers[reader];
            // A reader that asked for future entries may have received nothing.
            if reader.next == model.log.end().0 {
                let before = model.bytes_before(reader.first);
                prop_assert_eq!(before + reader.delivered + reader.gaps, model.written);
            }
        }
    }

    #[test]
    fn room_ends_when_a_lossless_reader_is_a_whole_log_behind(lens in proptest::collection::vec(1_usize..900, 1..40)) {
        let mut log = MergedLog::new(BOUND, Overflow::Block);
        let reader = log.open(Start::Now, true);
        let mut behind = 0;
        for len in lens {
            let chunk = Chunk { stream: Source::Stderr, bytes: Bytes::from(vec![0; len]), after_exit: false, writer: None };
            let fact = Fact::Chunk(chunk);
            log.append(vec![Entry { seq: log.end(), turn: Turn(0), child: ChildId(1), fact }]);
            behind += len as u64 + ENTRY_COST;
            prop_assert_eq!(log.room(), BOUND.saturating_sub(behind));
        }
        while log.read(reader, Limit::Turns).is_some() {}
        prop_assert_eq!(log.room(), BOUND);
    }
}
