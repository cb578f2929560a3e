//! Directories and files that only their owner can read. They are made and opened by descriptors:
//! no later `chdir` and no symbolic link leads elsewhere.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
};

use nix::sys::stat::FchmodatFlags;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, statat},
    io::Errno,
    process::geteuid,
};

/// The owner's rights; others have none.
const DIRECTORY: Mode = Mode::RWXU;
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);

const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);

/// A directory that the user has named, to make something in it. The name may be a link.
pub(crate) fn named(path: &Path) -> io::Result<OwnedFd> {
    // This needs no right to read it.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// As [`named`], to list the directory.
pub(crate) fn named_to_list(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Makes a new directory, whatever the umask. It is removed if it cannot be made private.
pub(crate) fn make(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    mkdirat(parent, name, DIRECTORY)?;
    let made = open_made(parent, name);
    if made.is_err() {
        let _ = remove(parent, name);
    }
    made
}

fn open_made(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    let made = match open(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // The umask took the owner's rights, too.
            let mode = nix::sys::stat::Mode::S_IRWXU;
            nix::sys::stat::fchmodat(parent, name, mode, FchmodatFlags::NoFollowSymlink)?;
            open(parent, name)?
        }
        opened => opened?,
    };
    let stat = fstat(&made)?;
    // If others can write to the parent, it may have been exchanged meanwhile.
    if stat.st_uid != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    make_private(&made, &stat, DIRECTORY)?;
    Ok(made)
}

fn make_private(descriptor: impl AsFd, stat: &Stat, mode: Mode) -> io::Result<()> {
    if Mode::from_raw_mode(stat.st_mode) != mode {
        fchmod(descriptor, mode)?;
    }
    Ok(())
}

/// Opens a directory to list it.
pub(crate) fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, OPEN | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?)
}

/// Makes a new file to write and read, whatever the umask.
pub(crate) fn make_file(directory: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OPEN | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let file = openat(&directory, name, flags, FILE)?;
    if let Err(error) =
        fstat(&file).map_err(Into::into).and_then(|stat| make_private(&file, &stat, FILE))
    {
        let _ = remove_file(&directory, name);
        return Err(error);
    }
    Ok(file.into())
}

/// Opens a regular file to read it. Returns `None` for anything else: opening a special file can
/// block, or have an effect.
pub(crate) fn open_file(
    directory: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> io::Result<Option<File>> {
    let is_regular = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_regular(statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?) {
        return Ok(None);
    }
    // It may have been exchanged meanwhile: check once more, and wait for nothing.
    let flags = OPEN | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match openat(&directory, name, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
        opened => opened?,
    };
    Ok(is_regular(fstat(&file)?).then(|| file.into()))
}

/// Whether a name is a directory itself, and no link to one.
pub(crate) fn is_directory(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<bool> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort();
    Ok(names)
}

pub(crate) fn remove_file(directory: impl AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

/// Removes an empty directory.
pub(crate) fn remove(parent: impl AsFd, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
