//! `Replay`: reads a recording back as the batches of a log reader. Also writes the recording.

use std::{
    fmt,
    io::{self, Read, Write},
};

use smallvec::smallvec;

use super::format::{Frame, HEAD, LONGEST, MAGIC, decode, encode_gap, encode_turn};
use crate::log::{Batch, LogReader};

impl LogReader {
    /// Records what it reads until the policy has stopped, and blocks this thread meanwhile. A
    /// [`Replay`] returns the same gaps and entries. Equal logs make equal recordings.
    ///
    /// # Errors
    ///
    /// The writer's error.
    pub fn record(self, mut out: impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        let mut frames = Vec::new();
        for batch in self.blocking() {
            frames.clear();
            encode(&mut frames, &batch);
            out.write_all(&frames)?;
            out.flush()?;
        }
        Ok(())
    }
}

fn encode(out: &mut Vec<u8>, batch: &Batch) {
    if let Some(gap) = batch.gap() {
        encode_gap(out, &gap);
    }
    batch.turns().for_each(|turn| encode_turn(out, turn));
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The input does not begin as a recording.
    #[error("this is no recording of a merged log")]
    NotARecording,
    /// It ends in the middle of a frame, as after a crash. All earlier frames were returned.
    #[error("the recording ends in the middle of an entry")]
    Torn,
    /// A frame differs from what was written. Nothing after it can be trusted.
    #[error("the recording is damaged")]
    Damaged,
    /// The input cannot be read.
    #[error("the recording cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// Reads a recording back, for tests of subscribers without a child: an iterator of batches, each
/// one turn or one gap. `OutputBatch::from` makes each into an [`OutputBatch`](crate::OutputBatch)
/// for an actor.
///
/// ```
/// use actix_process::{Command, Policy, Start, recording::Replay};
///
/// # actix::System::new().block_on(async {
/// let policy = Policy::start()?;
/// let reader = policy.log(Start::Beginning);
/// let child = policy.spawn(Command::new("echo").arg("hello")).await?;
/// child.wait().await?;
/// policy.shutdown(std::time::Duration::ZERO).await;
/// let mut recording = Vec::new();
/// reader.record(&mut recording)?;
///
/// for batch in Replay::open(&*recording)? {
///     for entry in batch?.entries() {
///         println!("{} {:?}", entry.seq, entry.fact);
///     }
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Replay<R> {
    input: R,
    ended: bool,
}

/// Shows nothing of the recording.
impl<R> fmt::Debug for Replay<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Replay").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<R: Read> Replay<R> {
    /// Opens a recording.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotARecording`], [`ReplayError::Torn`] or [`ReplayError::Read`].
    pub fn open(mut input: R) -> Result<Self, ReplayError> {
        let mut magic = [0; MAGIC.len()];
        match fill(&mut input, &mut magic)? {
            len if len == MAGIC.len() && magic == MAGIC => Ok(Replay::continued(input)),
            // A crash came after the file was created and before its first write.
            len if len < MAGIC.len() && MAGIC.starts_with(&magic[..len]) => Err(ReplayError::Torn),
            _ => Err(ReplayError::NotARecording),
        }
    }

    /// For an input that continues a recording: it starts with a frame.
    pub(crate) fn continued(input: R) -> Self {
        Replay { input, ended: false }
    }

    fn frame(&mut self) -> Result<Option<Frame>, ReplayError> {
        let mut head = [0; HEAD];
        match fill(&mut self.input, &mut head)? {
            0 => return Ok(None),
            HEAD => {}
            _ => return Err(ReplayError::Torn),
        }
        let [a, b, c, d, e, f, g, h] = head;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        if len > LONGEST {
            return Err(ReplayError::Damaged);
        }
        // The buffer grows with the data, so that a damaged length cannot take all memory.
        let mut payload = Vec::new();
        let read = (&mut self.input).take(len as u64).read_to_end(&mut payload)?;
        if read < len {
            return Err(ReplayError::Torn);
        }
        if crc32fast::hash(&payload) != u32::from_le_bytes([e, f, g, h]) {
            return Err(ReplayError::Damaged);
        }
        decode(payload).map(Some).ok_or(ReplayError::Damaged)
    }
}

/// Reads until the buffer is full or the input ends. Returns the number of bytes read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<R: Read> Iterator for Replay<R> {
    type Item = Result<Batch, ReplayError>;

    /// After an error the iterator ends.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let frame = self.frame();
        self.ended = !matches!(frame, Ok(Some(_)));
        match frame.transpose()? {
            Ok(Frame::Gap(gap)) => Some(Ok(Batch { gap: Some(gap), ..Batch::default() })),
            Ok(Frame::Turn(entries)) => {
                Some(Ok(Batch { turns: smallvec![entries.into()], ..Batch::default() }))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ChildId, Entry, ExitStatus, Fact, ResourceUsage, Seq, Source,
        log::{Chunk, Concerned, Gap},
        types::{Exit, Turn},
    };

    fn fact() -> impl Strategy<Value = Fact> {
        let chunk =
            (0_i32..6, any::<bool>(), any::<Vec<u8>>()).prop_map(|(n, after_exit, bytes)| {
                let writer = Some(n).filter(|n| *n > 3);
                let stream = match n {
                    0 | 1 => Source::Stdout,
                    2 => Source::Stderr,
                    number => Source::Extra(number),
                };
                Fact::Chunk(Chunk { stream, bytes: bytes.into(), after_exit, writer })
            });
        let exit = (any::<[u32; 7]>(), 0..4, ".{0,9}").prop_map(|(n, kind, program)| {
            let status = match kind {
                0 => ExitStatus::Code(n[0] as i32),
                1 | 2 => ExitStatus::Signaled { signal: n[0] as i32, core_dumped: kind == 2 },
                _ => ExitStatus::Lost,
            };
            let time = |nanos: u32| std::time::Duration::from_nanos(nanos.into());
            let usage = ResourceUsage {
                user_time: time(n[1]),
                system_time: time(n[2]),
                peak_memory_kib: n[3].into(),
            };
            let (output_bytes, last_seq, seq) = (n[4].into(), Seq(n[5].into()), Seq(n[6].into()));
            let (child, wall_time, program) = (ChildId(0), time(n[4]), program.into());
            let pid = n[5] as i32;
            let exit =
                Exit { child, pid, program, status, usage, wall_time, output_bytes, last_seq, seq };
            Fact::Exited(exit.into())
        });
        let spawned = (any::<i32>(), ".{0,9}")
            .prop_map(|(pid, program)| Fact::Spawned { pid, program: program.into() });
        prop_oneof![chunk, exit, spawned, Just(Fact::Closed)]
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let gap = any::<[u64; 5]>().prop_map(|[first, last, chunks, bytes, facts]| {
            let concerned = match chunks % 3 {
                0 => Concerned::Anyone,
                count => Concerned::Only((0..count).map(ChildId).collect()),
            };
            let (first, last) = (Seq(first), Seq(last));
            Frame::Gap(Gap { first, last, chunks, bytes, facts, concerned })
        });
        let turn = (any::<u32>(), proptest::collection::vec((fact(), 0_u64..9), 1..6)).prop_map(
            |(first, facts)| {
                let entries = (u64::from(first)..).zip(facts).map(|(seq, (fact, child))| Entry {
                    seq: Seq(seq),
                    turn: Turn(seq / 2),
                    // An exit is taken from child 0: it names its child itself.
                    child: if let Fact::Exited(_) = fact { ChildId(0) } else { ChildId(child) },
                    fact,
                });
                Frame::Turn(entries.collect())
            },
        );
        prop_oneof![gap, turn]
    }

    fn recorded(list: &[Frame]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        list.iter().for_each(|frame| match frame {
            Frame::Gap(gap) => encode_gap(&mut bytes, gap),
            Frame::Turn(entries) => encode_turn(&mut bytes, entries.iter()),
        });
        bytes
    }

    #[test]
    fn who_keeps_a_small_chunk_keeps_nothing_of_its_turn_besides() {
        let entries: Vec<_> = (0..)
            .zip([1, 9_000, 1])
            .map(|(seq, len)| {
                let bytes = vec![7; len].into();
                let chunk =
                    Chunk { stream: Source::Stdout, bytes, after_exit: false, writer: None };
                let (seq, turn, child) = (Seq(seq), Turn(0), ChildId(0));
                Entry { seq, turn, child, fact: Fact::Chunk(chunk) }
            })
            .collect();
        let recording = recorded(&[Frame::Turn(entries)]);
        let batches: Vec<_> = Replay::open(&*recording).unwrap().map(Result::unwrap).collect();
        let chunks = batches.iter().flat_map(Batch::entries).map(|entry| match &entry.fact {
            Fact::Chunk(chunk) => &chunk.bytes,
            _ => unreachable!("only chunks were recorded"),
        });
        let chunks: Vec<_> = chunks.collect();
        assert!(chunks.iter().all(|bytes| bytes.is_unique()), "chunks share memory");
        assert_eq!(chunks.iter().map(|bytes| bytes.len()).collect::<Vec<_>>(), [1, 9_000, 1]);
    }

    proptest! {
        #[test]
        fn a_replay_gives_what_was_recorded_bit_for_bit(
            list in proptest::collection::vec(frame(), 0..6),
        ) {
            let recording = recorded(&list);
            let batches: Result<Vec<_>, _> = Replay::open(&*recording).unwrap().collect();
            let mut again = MAGIC.to_vec();
            batches.unwrap().iter().for_each(|batch| encode(&mut again, batch));
            prop_assert_eq!(again, recording);
        }

        #[test]
        fn a_torn_recording_gives_its_whole_frames_and_says_so(
            list in proptest::collection::vec(frame(), 1..6), cut in 0.0..1.0_f64,
        ) {
            let whole = recorded(&list);
            let kept = MAGIC.len() + ((whole.len() - MAGIC.len()) as f64 * cut) as usize;
            let items: Vec<_> = Replay::open(&whole[..kept]).unwrap().collect();
            let good = items.iter().filter(|item| item.is_ok()).count();
            let mut ends = list.iter().scan(MAGIC.len(), |end, frame| {
                *end += recorded(std::slice::from_ref(frame)).len() - MAGIC.len();
                Some(*end)
            });
            prop_assert_eq!(good, ends.clone().filter(|end| *end <= kept).count());
            let at_an_end = kept == MAGIC.len() || ends.any(|end| end == kept);
            prop_assert_eq!(items.len() == good, at_an_end);
        }

        #[test]
        fn a_damaged_recording_is_never_believed(
            list in proptest::collection::vec(frame(), 1..4),
            place in any::<proptest::sample::Index>(), flip in 1_u8..,
        ) {
            let mut recording = recorded(&list);
            let place = MAGIC.len() + place.index(recording.len() - MAGIC.len());
            recording[place] ^= flip;
            prop_assert!(Replay::open(&*recording).unwrap().any(|item| item.is_err()));
        }

        #[test]
        fn no_bytes_make_a_replay_panic(bytes: Vec<u8>) {
            prop_assert!(Replay::open(&*bytes).is_err());
            let _ = decode(bytes);
        }
    }
}
