//! Why an existing program cannot be executed: the interpreter that it names is missing or not
//! executable.

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

/// The kernel reads this many bytes of a script.
const SCRIPT_HEAD: usize = 256;

/// The kernel follows at most this many scripts whose interpreters are scripts.
const DEPTH: usize = 5;

/// The interpreter of the first of these programs that exists, if it is missing or not executable.
/// `from` is the child's directory, for relative paths of interpreters.
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

/// Whether the path names an executable file.
fn runs(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// The interpreter that a script names after `#!`, or the loader of a dynamic program.
fn interpreter_of(program: &Path) -> Option<PathBuf> {
    // Non-blocking: it was a file a moment ago, but opening anything else could wait.
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

/// Where an ELF file names its loader: offsets and lengths in bytes.
struct Layout {
    /// The length of an address or an offset.
    word: usize,
    /// In the file: the positions of the program headers' offset, length and number.
    headers: [usize; 3],
    /// In a program header: the positions of its contents' offset and length.
    content: [usize; 2],
}

const OF_64_BITS: Layout = Layout { word: 8, headers: [32, 54, 56], content: [8, 32] };
const OF_32_BITS: Layout = Layout { word: 4, headers: [28, 42, 44], content: [4, 16] };

/// The loader's path in an ELF file of this machine's byte order.
fn loader(file: &File, head: &[u8]) -> Option<Vec<u8>> {
    let number = |bytes: &[u8], at: usize, len: usize| {
        let mut value = [0; 8];
        value[..len].copy_from_slice(bytes.get(at..at + len)?);
        Some(u64::from_le_bytes(value))
    };
    let layout = match head.get(..6)? {
        _ if !cfg!(target_endian = "little") => return None,
        b"\x7fELF\x02\x01" => OF_64_BITS,
        b"\x7fELF\x01\x01" => OF_32_BITS,
        _ => return None,
    };
    let [start, size, count] = layout.headers;
    let (start, size, count) =
        (number(head, start, layout.word)?, number(head, size, 2)?, number(head, count, 2)?);
    for place in 0..count {
        let mut header = [0; 56];
        let header = &mut header[..usize::try_from(size).ok()?.min(56)];
        file.read_exact_at(header, start.checked_add(place * size)?).ok()?;
        if number(header, 0, 4)? == PT_INTERP {
            let [offset, len] = layout.content.map(|at| number(header, at, layout.word));
            let mut path = vec![0; usize::try_from(len?).ok().filter(|len| *len <= 4096)?];
            file.read_exact_at(&mut path, offset?).ok()?;
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

    #[test]
    fn a_32_bit_program_names_its_loader() {
        let mut elf = vec![0; 52 + 32];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        (elf[28], elf[42], elf[44]) = (52, 32, 1);
        (elf[52], elf[52 + 4], elf[52 + 16]) = (3, 84, 18);
        elf.extend(b"/lib/ld-linux.so.2".iter().chain(&[0]));
        elf[52 + 16] += 1;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &elf).unwrap();
        assert_eq!(interpreter_of(file.path()), Some("/lib/ld-linux.so.2".into()));
    }
}
