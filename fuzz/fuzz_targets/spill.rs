//! What a crash leaves of a spill, whatever that is: never a panic, never more than what was whole,
//! and the same prefix however much of the tail is missing.
#![no_main]

use std::{fs, path::Path};

use actix_process::recording::replay_spilled;
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"actix-process recording 1\n";

/// The first entries' numbers of what can be replayed, up to the first error.
fn replayed(directory: &Path) -> Vec<Option<u64>> {
    let batches = replay_spilled(directory).expect("the directory is there");
    let whole = batches.map_while(Result::ok);
    whole.map(|batch| batch.entries().next().map(|entry| entry.seq.get())).collect()
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>, u16)| {
    let (payloads, tail, cut) = input;
    let directory = tempfile::tempdir().expect("a directory");
    let own = directory.path().join("actix-process-1-1");
    fs::create_dir(&own).expect("a directory");
    let file = own.join("00000000000000000000.spill");
    let mut bytes = MAGIC.to_vec();
    for payload in &payloads {
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(payload).to_le_bytes());
        bytes.extend(payload);
    }
    bytes.extend(&tail);
    fs::write(&file, &bytes).expect("a file");
    let whole = replayed(directory.path());
    let kept = usize::from(cut) % (bytes.len() + 1);
    fs::write(&file, &bytes[..kept]).expect("a file");
    let torn = replayed(directory.path());
    assert!(whole.starts_with(&torn), "a torn file gives what the whole one does not");
});
