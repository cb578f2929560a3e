//! `SpillFile`: one file of a spill, a recording. `SpillRef`: a range in it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Weak},
};

use super::directory::SpillDirectory;
use crate::{
    log::{
        TurnEntries,
        recording::{MAGIC, Replay},
    },
    restart::trace,
};

/// The extension of the files, after their numbers.
pub(super) const EXTENSION: &str = "spill";

/// Consecutive ranges are joined up to this length.
const LONGEST: usize = 1024 * 1024;

/// One file. It is removed when nothing needs it any more.
#[derive(Debug)]
pub(crate) struct SpillFile {
    file: File,
    name: String,
    /// Weak: once the policy drops the directory, the file is removed with it.
    directory: Weak<SpillDirectory>,
}

impl SpillFile {
    /// Creates a file that holds only the beginning of a recording.
    pub(super) fn create(directory: &Arc<SpillDirectory>, number: u64) -> io::Result<Self> {
        let name = format!("{number:020}.{EXTENSION}");
        let file = directory.make_file(&name)?;
        let spill_file = SpillFile { file, name, directory: Arc::downgrade(directory) };
        spill_file.file.write_all_at(MAGIC, 0)?;
        Ok(spill_file)
    }

    /// Writes all bytes at `offset`; on an error, cuts the file back to `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(feature = "fault-injection")]
        if crate::restart::fault_due(crate::restart::Fault::SpillWrite) {
            // Half of it is written, then the disk is full.
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            self.file.set_len(offset)?;
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let written = self.file.write_all_at(bytes, offset);
        if written.is_err() {
            // If the cut fails too, a replay reports a torn tail.
            let _ = self.file.set_len(offset);
        }
        written
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.upgrade() {
            directory.remove_file(&self.name);
        }
    }
}

/// The file range of some turns.
#[derive(Clone, Debug)]
pub(crate) struct SpillRef {
    pub(super) spill_file: Arc<SpillFile>,
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl SpillRef {
    /// Joins this range and the next one, if that follows in the same file and the result is not
    /// too long to be read at once.
    pub(crate) fn with_next(&self, next: &SpillRef) -> Option<SpillRef> {
        let follows = Arc::ptr_eq(&self.spill_file, &next.spill_file)
            && self.offset + self.len as u64 == next.offset
            && self.len + next.len <= LONGEST;
        follows.then(|| SpillRef { len: self.len + next.len, ..self.clone() })
    }

    /// Reads the turns back. Logs a failure and returns `None`.
    pub(crate) fn load_or_tell(&self) -> Option<Vec<TurnEntries>> {
        let turns = self.load();
        if let Err(error) = &turns {
            trace::error!(%error, "what went to a file cannot be read: it is a gap");
        }
        turns.ok()
    }

    /// Reads the turns back. Anything that differs from what was written is an error.
    pub(crate) fn load(&self) -> io::Result<Vec<TurnEntries>> {
        let mut bytes = vec![0; self.len];
        self.spill_file.file.read_exact_at(&mut bytes, self.offset)?;
        let mut turns = Vec::new();
        for batch in Replay::continued(&*bytes) {
            let batch = batch.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            turns.extend(batch.turns);
        }
        Ok(turns)
    }
}
