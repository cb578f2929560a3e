//! `Store`: the spill files of one policy, in a directory of their own, and their size limit.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use super::{SpillFile, SpillRef, directory::SpillDirectory};
use crate::log::{TurnEntries, recording::encode_turn};

/// Entries cannot be spilled to files: [`Overflow::Block`](crate::Overflow::Block) is in force.
#[derive(Debug, thiserror::Error)]
#[error("cannot spill to `{}`: could not {step}: {source}", directory.display())]
pub struct SpillError {
    /// The directory.
    pub directory: PathBuf,
    /// The step that failed.
    pub step: &'static str,
    /// The operating system's error.
    pub source: io::Error,
}

/// The bound is kept by removing whole files, so it is divided into at least this many.
const SEGMENTS: u64 = 16;

/// The longest spill file.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The files.
#[derive(Debug)]
pub(crate) struct Store {
    directory: Arc<SpillDirectory>,
    bound: u64,
    /// The files that may still exist, with their lengths. The last one is written to.
    segments: Vec<(Weak<SpillFile>, u64)>,
    current: Option<Arc<SpillFile>>,
    next_number: u64,
}

impl Store {
    /// Creates this policy's directory in the one that the user named.
    pub(crate) fn create(directory: &Path, bound: u64) -> Result<Self, SpillError> {
        let directory = SpillDirectory::create(directory).map_err(|source| {
            let directory = directory.to_path_buf();
            SpillError { directory, step: "make a directory there", source }
        })?;
        let directory = Arc::new(directory);
        Ok(Store { directory, bound, segments: Vec::new(), current: None, next_number: 0 })
    }

    /// Writes turns. Returns `None` if they would exceed the bound.
    pub(crate) fn write(&mut self, turns: &[TurnEntries]) -> Result<Option<SpillRef>, SpillError> {
        let mut bytes = Vec::new();
        turns.iter().for_each(|turn| encode_turn(&mut bytes, turn.iter()));
        if self.written() + bytes.len() as u64 > self.bound {
            self.leave_unneeded();
            if self.written() + bytes.len() as u64 > self.bound {
                return Ok(None);
            }
        }
        if self.current.is_none() {
            let spill_file = SpillFile::create(&self.directory, self.next_number)
                .map_err(|source| self.error("make a file", source))?;
            self.next_number += 1;
            let spill_file = Arc::new(spill_file);
            self.segments
                .push((Arc::downgrade(&spill_file), crate::log::recording::MAGIC.len() as u64));
            self.current = Some(spill_file);
        }
        let (Some(spill_file), Some((_, len))) = (&self.current, self.segments.last_mut()) else {
            return Ok(None);
        };
        if let Err(source) = spill_file.write(&bytes, *len) {
            return Err(self.error("write to a file", source));
        }
        let place = SpillRef { spill_file: Arc::clone(spill_file), offset: *len, len: bytes.len() };
        *len += bytes.len() as u64;
        if *len >= (self.bound / SEGMENTS).min(LONGEST) {
            self.current = None;
        }
        Ok(Some(place))
    }

    pub(super) fn error(&self, step: &'static str, source: io::Error) -> SpillError {
        SpillError { directory: self.directory.path().to_path_buf(), step, source }
    }

    fn written(&mut self) -> u64 {
        self.segments.retain(|(spill_file, _)| spill_file.strong_count() > 0);
        self.segments.iter().map(|(_, len)| len).sum()
    }

    /// Drops the file that is written to, if nothing needs its contents.
    pub(crate) fn leave_unneeded(&mut self) {
        if self.current.as_ref().is_some_and(|spill_file| Arc::strong_count(spill_file) == 1) {
            self.current = None;
        }
    }
}
