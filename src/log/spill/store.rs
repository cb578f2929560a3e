//! `Store`: the segments of one policy, in a directory of their own, and their bound.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use super::{Place, Segment, directory::SpillDirectory};
use crate::log::{TurnEntries, recording::encode_turn};

/// A log's entries cannot go to files: [`Overflow::Block`](crate::Overflow::Block) is in force.
#[derive(Debug, thiserror::Error)]
#[error("cannot spill to `{}`: could not {step}: {source}", directory.display())]
pub struct SpillError {
    /// The directory.
    pub directory: PathBuf,
    /// What could not be done.
    pub step: &'static str,
    /// What the operating system said.
    pub source: io::Error,
}

/// A bound is kept by removing whole segments: so many at least make it up.
const SEGMENTS: u64 = 16;

/// No segment needs to be longer.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The files.
#[derive(Debug)]
pub(crate) struct Store {
    directory: Arc<SpillDirectory>,
    bound: u64,
    /// All that may still be there, and how long they are; the last one is written to.
    segments: Vec<(Weak<Segment>, u64)>,
    current: Option<Arc<Segment>>,
    next_number: u64,
}

impl Store {
    /// Makes a directory for this policy in the one that the user has named.
    pub(crate) fn create(directory: &Path, bound: u64) -> Result<Self, SpillError> {
        let directory = SpillDirectory::create(directory).map_err(|source| {
            let directory = directory.to_path_buf();
            SpillError { directory, step: "make a directory there", source }
        })?;
        let directory = Arc::new(directory);
        Ok(Store { directory, bound, segments: Vec::new(), current: None, next_number: 0 })
    }

    /// Writes turns; `None` where they would be over the bound.
    pub(crate) fn write(&mut self, turns: &[TurnEntries]) -> Result<Option<Place>, SpillError> {
        let mut bytes = Vec::new();
        turns.iter().for_each(|turn| encode_turn(&mut bytes, turn.iter()));
        if self.written() + bytes.len() as u64 > self.bound {
            self.leave_unneeded();
            if self.written() + bytes.len() as u64 > self.bound {
                return Ok(None);
            }
        }
        if self.current.is_none() {
            let segment = Segment::create(&self.directory, self.next_number)
                .map_err(|source| self.error("make a file", source))?;
            self.next_number += 1;
            let segment = Arc::new(segment);
            self.segments
                .push((Arc::downgrade(&segment), crate::log::recording::MAGIC.len() as u64));
            self.current = Some(segment);
        }
        let (Some(segment), Some((_, len))) = (&self.current, self.segments.last_mut()) else {
            return Ok(None);
        };
        if let Err(source) = segment.write(&bytes, *len) {
            return Err(self.error("write to a file", source));
        }
        let place = Place { segment: Arc::clone(segment), offset: *len, len: bytes.len() };
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
        self.segments.retain(|(segment, _)| segment.strong_count() > 0);
        self.segments.iter().map(|(_, len)| len).sum()
    }

    /// Lets go of the segment that is written to, where nobody needs what is in it.
    pub(crate) fn leave_unneeded(&mut self) {
        if self.current.as_ref().is_some_and(|segment| Arc::strong_count(segment) == 1) {
            self.current = None;
        }
    }
}
