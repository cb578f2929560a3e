//! Why a program that is there cannot be executed: the interpreter that it names is missing, or may
//! not be executed.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

/// The kernel looks at so many bytes of a script.
const SCRIPT_HEAD: usize = 256;

/// The kernel follows no more scripts whose interpreters are scripts.
const DEPTH: usize = 5;

/// The interpreter that is at fault, if one is: of the first of these programs that is there.
/// `from` is the child's directory, in which relative paths of interpreters are looked up.
pub(super) fn missing_interpreter(
    programs: impl IntoIterator<Item = PathBuf>,
    error: &io::Error,
    from: &Path,
) -> Option<PathBuf> {
    if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EACCES | libc::ENOTDIR)) {
        return None;
    }
    let mut program = programs.into_iter().find(|path| runs(path))?;
    for _ in 0..DEPTH {
        let interpreter = from.join(interpreter_of(&program)?);
        if !runs(&interpreter) {
            return Some(interpreter);
        }
        program = interpreter;
    }
    None
}

/// Whether the path is that of a file which may be executed.
fn runs(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// The interpreter that a script names after `#!`, or the loader that a dynamic program needs.
fn interpreter_of(program: &Path) -> Option<PathBuf> {
    // It was a file a moment ago; anything else could make an open wait.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(program).ok()?;
    let mut head = Vec::with_capacity(SCRIPT_HEAD);
    (&file).take(SCRIPT_HEAD as u64).read_to_end(&mut head).ok()?;
    let path = match script(&head) {
        Some(path) => path.to_vec(),
        None => loader(&file, &head)?,
    };
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}

fn script(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())
}

/// The program header of this type names the loader (elf(5)).
const PT_INTERP: u64 = 3;

/// The path of the loader in a 64-bit ELF file of this machine's byte order.
fn loader(file: &File, head: &[u8]) -> Option<Vec<u8>> {
    let number = |bytes: &[u8], at: usize, len: usize| {
        let mut value = [0; 8];
        value[..len].copy_from_slice(bytes.get(at..at + len)?);
        Some(u64::from_le_bytes(value))
    };
    if !cfg!(target_endian = "little") || !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (start, size, count) = (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?);
    for place in 0..count {
        let mut header = [0; 56];
        file.read_exact_at(&mut header, start.checked_add(place * size)?).ok()?;
        if number(&header, 0, 4)? == PT_INTERP {
            let (offset, len) = (number(&header, 8, 8)?, number(&header, 32, 8)?);
            let mut path = vec![0; usize::try_from(len).ok().filter(|len| *len <= 4096)?];
            file.read_exact_at(&mut path, offset).ok()?;
            path.truncate(path.iter().position(|byte| *byte == 0)?);
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_programs_name_their_interpreters() {
        assert_eq!(script(b"#! /usr/bin/env -S sh\nrest"), Some(&b"/usr/bin/env"[..]));
        assert_eq!(script(b"#!/bin/sh"), Some(&b"/bin/sh"[..]));
        assert_eq!(script(b"#!\n"), None);
        assert_eq!(script(b"echo"), None);
        let loader = interpreter_of(Path::new("/bin/sh")).unwrap();
        assert!(loader.is_file(), "{loader:?}");
    }
}
