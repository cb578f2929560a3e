//! Segments: the files of a spill, each one a recording; and places in them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Batch, Replay, ReplayError, log::TurnEntries, recording::MAGIC};

/// What the files are called after their numbers.
const EXTENSION: &str = "spill";

/// Places that follow each other become one up to this length.
const LONGEST: usize = 1024 * 1024;

/// One file. It is removed when nothing needs it any more.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
}

impl Segment {
    /// A new file with nothing but the beginning of a recording.
    pub(super) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = directory.join(format!("{number:020}.{EXTENSION}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let segment = Segment { file, path };
        segment.file.write_all_at(MAGIC, 0)?;
        Ok(segment)
    }

    /// Writes at `offset`, whole, or cuts the file there again.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(feature = "fault-injection")]
        if crate::supervise::fault_due(crate::supervise::Fault::SpillWrite) {
            // Half of it is written, and then the disk is full.
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            self.file.set_len(offset)?;
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let written = self.file.write_all_at(bytes, offset);
        if written.is_err() {
            // Where it stays, a replay tells it as torn.
            let _ = self.file.set_len(offset);
        }
        written
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a spill file cannot be removed");
        }
    }
}

/// Where some turns are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) segment: Arc<Segment>,
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Place {
    /// This place and the next one as one, where that follows in the same file and they are not too
    /// long to be read at once.
    pub(crate) fn with_next(&self, next: &Place) -> Option<Place> {
        let follows = Arc::ptr_eq(&self.segment, &next.segment)
            && self.offset + self.len as u64 == next.offset
            && self.len + next.len <= LONGEST;
        follows.then(|| Place { len: self.len + next.len, ..self.clone() })
    }

    /// Reads the turns back. What is not exactly as it was written is an error.
    pub(crate) fn load(&self) -> io::Result<Vec<TurnEntries>> {
        let mut bytes = vec![0; self.len];
        self.segment.file.read_exact_at(&mut bytes, self.offset)?;
        let mut turns = Vec::new();
        for batch in Replay::continued(&*bytes) {
            let batch = batch.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            turns.extend(batch.turns);
        }
        Ok(turns)
    }
}

/// What a policy that ended in a crash had spilled into `directory` (the one that was given to
/// [`PolicyBuilder::spill`](crate::PolicyBuilder::spill), or one of those in it), in the order in
/// which it was written. A torn tail is cut, and told as [`ReplayError::Torn`]. What was in memory
/// only is not there, so the numbers can have holes; a child whose own share was spilled comes apart
/// from the others, and an entry can come twice. Of several policies each one's come together.
///
/// # Errors
///
/// What the directory gives when it is read.
pub fn replay_spilled(
    directory: impl AsRef<Path>,
) -> io::Result<impl Iterator<Item = Result<Batch, ReplayError>>> {
    let mut paths = Vec::new();
    gather(directory.as_ref(), &mut paths)?;
    paths.sort();
    let replays = paths.into_iter().map(|path| Replay::open(File::open(path)?));
    Ok(replays.flat_map(|replay| {
        let (batches, error) = match replay {
            Ok(batches) => (Some(batches), None),
            Err(error) => (None, Some(Err(error))),
        };
        batches.into_iter().flatten().chain(error)
    }))
}

fn gather(directory: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    Ok(())
}
