//! `SpillDirectory`: the directory of one policy's spill files, held open from its creation to its
//! removal.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{restart::trace, sys::private_dir};

/// The prefix of these directories' names; the PID and a number follow.
const PREFIX: &str = "actix-process-";

/// Whether a directory's name has the form of a policy's directory.
pub(super) fn is_ours(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

/// The directory. Dropping the last reference removes it.
#[derive(Debug)]
pub(super) struct SpillDirectory {
    own: OwnedFd,
    /// The directory that the user named, and this directory's name in it.
    parent: OwnedFd,
    name: String,
    /// For messages only.
    path: PathBuf,
}

impl SpillDirectory {
    /// Creates one in the directory that the user named.
    pub(super) fn create(named: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let parent = private_dir::named(named)?;
        loop {
            let number = NEXT.fetch_add(1, Relaxed);
            let name = format!("{PREFIX}{}-{number}", process::id());
            match private_dir::make(&parent, &name) {
                Ok(own) => {
                    let path = named.join(&name);
                    return Ok(SpillDirectory { own, parent, name, path });
                }
                // A crashed process with this PID left that directory. It is kept for a replay.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn make_file(&self, name: &str) -> io::Result<File> {
        private_dir::make_file(&self.own, name)
    }

    pub(super) fn remove_file(&self, name: &str) {
        match private_dir::remove_file(&self.own, name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = self.path.join(name);
                trace::warn!(path = %path.display(), %error, "a spill file cannot be removed");
            }
        }
    }

    fn remove(&self) -> io::Result<()> {
        for name in private_dir::names(&self.own)? {
            private_dir::remove_file(&self.own, name)?;
        }
        private_dir::remove(&self.parent, &self.name)
    }
}

impl Drop for SpillDirectory {
    /// Readers that still need a file hold it open.
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            let directory = self.path.display();
            trace::warn!(%directory, %error, "the spill's directory cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_a_name_with_two_numbers_is_one_of_ours() {
        assert!(is_ours("actix-process-12-3"));
        for name in ["actix-process-", "actix-process-12", "actix-process-12-", "actix-process-a-1"]
        {
            assert!(!is_ours(name), "{name}");
        }
        assert!(!is_ours("actix-process-1-2-3") && !is_ours("my-actix-process-1-2"));
    }
}
