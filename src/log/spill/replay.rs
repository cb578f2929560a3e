//! `replay_spilled`: what a crash has left in files, read back. The directory may be one that
//! strangers write to.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    iter,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{directory::is_ours, spill_file::EXTENSION};
use crate::{
    log::{
        Batch,
        recording::{Replay, ReplayError},
    },
    sys::private_dir,
};

/// What a policy that ended in a crash had spilled into `directory` (the one that was given to
/// [`PolicyBuilder::spill`](crate::PolicyBuilder::spill), or one of those in it), in the order in
/// which it was written. A torn tail is cut, and told as [`ReplayError::Torn`]. Entries that were
/// only in memory are missing, so sequence numbers can skip; a child whose own share was spilled
/// comes apart from the others, and an entry can come twice. Of several policies each one's come
/// together.
///
/// The directory may be shared with others, as `/tmp` is: only directories that are called as a
/// policy's are looked into, no symbolic link in it is followed, and only regular files are opened.
/// A file or directory that cannot be read is one [`ReplayError::Read`] that names it, and the next
/// one follows. Who wrote a file is not asked.
///
/// # Errors
///
/// What the directory gives when it is listed.
pub fn replay_spilled(
    directory: impl AsRef<Path>,
) -> io::Result<impl Iterator<Item = Result<Batch, ReplayError>>> {
    let (path, named) = (directory.as_ref(), private_dir::named_to_list(directory.as_ref())?);
    let (names, path) = (private_dir::names(&named)?, path.to_path_buf());
    Ok(names.into_iter().flat_map(move |name| in_named(&named, &path.join(&name), &name)))
}

type Items = Box<dyn Iterator<Item = Result<Batch, ReplayError>>>;

/// What an entry of the directory that was named holds.
fn in_named(named: &OwnedFd, path: &Path, name: &OsStr) -> Items {
    if is_segment(name) {
        return in_file(named, path, name);
    }
    if !name.to_str().is_some_and(is_ours) {
        return Box::new(iter::empty());
    }
    let opened = match private_dir::is_directory(named, name) {
        Ok(false) => return Box::new(iter::empty()),
        Ok(true) => private_dir::open(named, name),
        Err(error) => Err(error),
    };
    let listed = opened.and_then(|own| Ok((private_dir::names(&own)?, own)));
    match listed {
        Ok((names, own)) => {
            let path = path.to_path_buf();
            let segments = names.into_iter().filter(|name| is_segment(name));
            Box::new(segments.flat_map(move |name| in_file(&own, &path.join(&name), &name)))
        }
        Err(error) => unreadable(path, error),
    }
}

/// What a file holds.
fn in_file(directory: &OwnedFd, path: &Path, name: &OsStr) -> Items {
    match private_dir::open_file(directory, name) {
        Ok(Some(file)) => match Replay::open(Named { file, path: path.to_path_buf() }) {
            Ok(batches) => Box::new(batches),
            Err(error) => Box::new(iter::once(Err(error))),
        },
        Ok(None) => Box::new(iter::empty()),
        Err(error) => unreadable(path, error),
    }
}

fn is_segment(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == EXTENSION)
}

/// One error that names the path. What its owner has removed meanwhile is none.
fn unreadable(path: &Path, error: io::Error) -> Items {
    if error.kind() == io::ErrorKind::NotFound {
        return Box::new(iter::empty());
    }
    Box::new(iter::once(Err(ReplayError::Read(naming(path, &error)))))
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// A file whose errors name it.
#[derive(Debug)]
struct Named {
    file: File,
    path: PathBuf,
}

impl Read for Named {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into).map_err(|error| naming(&self.path, &error))
    }
}
