//! `replay_spilled`: reads back the files that a crash left. Other users may be able to write to
//! the directory.

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

/// Returns what a policy that crashed had spilled into `directory` (the one given to
/// [`PolicyBuilder::spill`](crate::PolicyBuilder::spill), or a policy's directory in it), in the
/// order of writing. A torn tail is cut, and reported as [`ReplayError::Torn`]. Entries that were
/// only in memory are missing, so sequence numbers can skip. A child whose own quota was spilled
/// comes apart from the others, and an entry can come twice. Policies come one after the other.
///
/// The directory may be shared with others, as `/tmp` is: only directories named like a policy's
/// are opened, no symbolic link in it is followed, and only regular files are opened. A file or
/// directory that cannot be read is one [`ReplayError::Read`] that names it, and the next one
/// follows. The owner of a file is not checked.
///
/// # Errors
///
/// The error of listing the directory.
pub fn replay_spilled(
    directory: impl AsRef<Path>,
) -> io::Result<impl Iterator<Item = Result<Batch, ReplayError>>> {
    let (path, named) = (directory.as_ref(), private_dir::named_to_list(directory.as_ref())?);
    let (names, path) = (private_dir::names(&named)?, path.to_path_buf());
    Ok(names.into_iter().flat_map(move |name| in_named(&named, &path.join(&name), &name)))
}

type Items = Box<dyn Iterator<Item = Result<Batch, ReplayError>>>;

/// The items of one entry of the named directory.
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

/// The items of one file.
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

/// One error that names the path. No error if the owner has removed the file meanwhile.
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
