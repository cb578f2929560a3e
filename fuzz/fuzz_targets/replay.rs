//! No bytes make a replay panic or believe what is not whole: neither raw ones, nor frames whose
//! lengths and checksums are right.
#![no_main]

use actix_process::{OutputBatch, recording::{Replay, ReplayError}};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"actix-process recording 1\n";

fn replayed(recording: &[u8]) {
    let Ok(replay) = Replay::open(recording) else { return };
    let mut ended = false;
    for batch in replay {
        assert!(!ended, "an error is the last item");
        match batch {
            Ok(batch) => {
                let seqs: Vec<u64> = batch.entries().map(|entry| entry.seq.get()).collect();
                assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
                assert!(batch.gap().is_some() != !seqs.is_empty(), "a turn or a gap");
                let batch = OutputBatch::from(batch);
                assert_eq!(batch.entries().count(), seqs.len());
            }
            Err(ReplayError::NotARecording | ReplayError::Read(_)) => panic!("it was opened"),
            Err(_) => ended = true,
        }
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>)| {
    let (payloads, tail) = input;
    let mut recording = MAGIC.to_vec();
    for payload in &payloads {
        recording.extend((payload.len() as u32).to_le_bytes());
        recording.extend(crc32fast::hash(payload).to_le_bytes());
        recording.extend(payload);
    }
    replayed(&recording);
    recording.extend(&tail);
    replayed(&recording);
    replayed(&[MAGIC, &tail].concat());
    replayed(&tail);
});
