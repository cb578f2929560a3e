//! The bytes of a recording: a magic line, and a checksummed frame for each turn or gap.
//!
//! A frame is the length of its payload and the payload's CRC-32, four bytes each, and the payload.
//! All numbers are little-endian. Equal logs make equal bytes.

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes};

use smallvec::SmallVec;

use crate::{
    ChildId, Entry, ExitStatus, Fact, ResourceUsage, Seq, Source,
    log::{Chunk, Concerned, Gap},
    types::{Exit, Turn},
};

pub(crate) const MAGIC: &[u8] = b"actix-process recording 1\n";

/// The size of a frame's length and checksum.
pub(super) const HEAD: usize = 8;

/// The longest frame. A greater length means damage.
pub(super) const LONGEST: usize = 256 * 1024 * 1024;

/// A longer turn continues in another frame.
const ENOUGH: usize = 16 * 1024 * 1024;

/// What a frame holds.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Gap(Gap),
    Turn(Vec<Entry>),
}

/// Encodes a gap as a frame.
pub(super) fn encode_gap(out: &mut Vec<u8>, gap: &Gap) {
    framed(out, |out| {
        out.put_u8(0);
        for number in [gap.first.0, gap.last.0, gap.chunks, gap.bytes, gap.facts] {
            out.put_u64_le(number);
        }
        match &gap.concerned {
            Concerned::Anyone => out.put_u8(0),
            Concerned::Only(children) => {
                out.put_u8(1);
                children.iter().for_each(|child| out.put_u64_le(child.0));
            }
        }
    });
}

/// Encodes a turn as a frame; a very long one as several.
pub(crate) fn encode_turn<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = &'a Entry>) {
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        framed(out, |out| {
            out.put_u8(1);
            let end = out.len() + ENOUGH;
            while out.len() < end
                && let Some(entry) = entries.next()
            {
                put_entry(out, entry);
            }
        });
    }
}

/// Writes the payload, and before it its length and checksum.
fn framed(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_bytes(0, HEAD);
    payload(out);
    let (head, payload) = out[start..].split_at_mut(HEAD);
    head[..4].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    for number in [entry.seq.0, entry.turn.0, entry.child.0] {
        out.put_u64_le(number);
    }
    match &entry.fact {
        Fact::Spawned { pid, program } => {
            out.put_u8(0);
            out.put_i32_le(*pid);
            put_bytes(out, program.as_bytes());
        }
        Fact::Chunk(chunk) => {
            out.put_u8(1);
            out.put_i32_le(match chunk.stream {
                Source::Stdout => 1,
                Source::Stderr => 2,
                Source::Extra(number) => number,
            });
            out.put_u8(u8::from(chunk.after_exit));
            // Zero means unknown: no process has the number 0.
            out.put_i32_le(chunk.writer.unwrap_or(0));
            put_bytes(out, &chunk.bytes);
        }
        Fact::Exited(exit) => {
            out.put_u8(2);
            put_exit(out, exit);
        }
        Fact::Closed => out.put_u8(3),
    }
}

fn put_exit(out: &mut Vec<u8>, exit: &Exit) {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    out.put_i32_le(exit.pid);
    put_bytes(out, exit.program.as_bytes());
    let (kind, value) = match exit.status {
        ExitStatus::Code(code) => (0, code),
        ExitStatus::Signaled { signal, core_dumped: false } => (1, signal),
        ExitStatus::Signaled { signal, core_dumped: true } => (2, signal),
        ExitStatus::Lost => (3, 0),
    };
    out.put_u8(kind);
    out.put_i32_le(value);
    for number in [
        nanos(exit.usage.user_time),
        nanos(exit.usage.system_time),
        exit.usage.peak_memory_kib,
        nanos(exit.wall_time),
        exit.output_bytes,
        exit.last_seq.0,
        exit.seq.0,
    ] {
        out.put_u64_le(number);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Decodes a payload; `None` if it is no frame. A chunk that is most of its payload shares the
/// payload's memory, others are copied: a kept chunk keeps at most twice its bytes.
pub(super) fn decode(payload: Vec<u8>) -> Option<Frame> {
    let least = payload.len() / 2;
    let mut input = Bytes::from(payload.into_boxed_slice());
    match input.try_get_u8().ok()? {
        0 => {
            let mut number = || input.try_get_u64_le().ok();
            let (first, last) = (Seq(number()?), Seq(number()?));
            let (chunks, bytes, facts) = (number()?, number()?, number()?);
            let concerned = take_concerned(&mut input)?;
            Some(Frame::Gap(Gap { first, last, chunks, bytes, facts, concerned }))
        }
        1 => {
            let mut entries: Vec<Entry> = Vec::new();
            while !input.is_empty() {
                let entry = take_entry(&mut input, least)?;
                if entries.last().is_some_and(|last| entry.seq.0 != last.seq.0.wrapping_add(1)) {
                    return None;
                }
                entries.push(entry);
            }
            (!entries.is_empty()).then_some(Frame::Turn(entries))
        }
        _ => None,
    }
}

fn take_concerned(input: &mut Bytes) -> Option<Concerned> {
    match input.try_get_u8().ok()? {
        0 if input.is_empty() => Some(Concerned::Anyone),
        1 => {
            let mut children = SmallVec::new();
            while !input.is_empty() {
                children.push(ChildId(input.try_get_u64_le().ok()?));
            }
            Some(Concerned::of(children))
        }
        _ => None,
    }
}

fn take_entry(input: &mut Bytes, least: usize) -> Option<Entry> {
    let mut number = || input.try_get_u64_le().ok();
    let (seq, turn, child) = (Seq(number()?), Turn(number()?), ChildId(number()?));
    let fact = match input.try_get_u8().ok()? {
        0 => Fact::Spawned { pid: input.try_get_i32_le().ok()?, program: take_text(input)? },
        1 => {
            let stream = match input.try_get_i32_le().ok()? {
                1 => Source::Stdout,
                2 => Source::Stderr,
                number @ 3.. => Source::Extra(number),
                _ => return None,
            };
            let after_exit = match input.try_get_u8().ok()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            let writer = Some(input.try_get_i32_le().ok()?).filter(|writer| *writer != 0);
            let shared = take_bytes(input)?;
            let is_most = shared.len() >= least;
            let bytes = if is_most { shared } else { Bytes::copy_from_slice(&shared) };
            Fact::Chunk(Chunk { stream, bytes, after_exit, writer })
        }
        2 => Fact::Exited(take_exit(input, child)?.into()),
        3 => Fact::Closed,
        _ => return None,
    };
    Some(Entry { seq, turn, child, fact })
}

fn take_exit(input: &mut Bytes, child: ChildId) -> Option<Exit> {
    let (pid, program) = (input.try_get_i32_le().ok()?, take_text(input)?);
    let (kind, value) = (input.try_get_u8().ok()?, input.try_get_i32_le().ok()?);
    let status = match kind {
        0 => ExitStatus::Code(value),
        1 | 2 => ExitStatus::Signaled { signal: value, core_dumped: kind == 2 },
        3 if value == 0 => ExitStatus::Lost,
        _ => return None,
    };
    let mut number = || input.try_get_u64_le().ok();
    let usage = ResourceUsage {
        user_time: Duration::from_nanos(number()?),
        system_time: Duration::from_nanos(number()?),
        peak_memory_kib: number()?,
    };
    let wall_time = Duration::from_nanos(number()?);
    let (output_bytes, last_seq, seq) = (number()?, Seq(number()?), Seq(number()?));
    Some(Exit { child, pid, program, status, usage, wall_time, output_bytes, last_seq, seq })
}

fn take_text(input: &mut Bytes) -> Option<Arc<str>> {
    Some(std::str::from_utf8(&take_bytes(input)?).ok()?.into())
}

fn take_bytes(input: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(input.try_get_u32_le().ok()?).ok()?;
    (len <= input.len()).then(|| input.split_to(len))
}
