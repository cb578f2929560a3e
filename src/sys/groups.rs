//! Process groups as `/proc` shows them. The kernel counts zombies as members of a group, and an
//! orphan's zombie can stay for ever in a container whose first process reaps none.

use std::{collections::HashSet, fs, io};

use nix::errno::Errno;

/// The groups that have a member which is not a zombie.
///
/// # Errors
///
/// If `/proc` cannot be listed, or an existing process cannot be read: then a group may have
/// members that are not seen.
pub(crate) fn alive() -> io::Result<HashSet<i32>> {
    let mut groups = HashSet::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        match fs::read(entry.path().join("stat")) {
            Ok(stat) => groups.extend(group_if_alive(&stat)),
            Err(error) if is_passed_over(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

/// A process that has ended since the listing, or another user's if `/proc` is private.
fn is_passed_over(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOENT | Errno::ESRCH | Errno::EACCES | Errno::EPERM))
}

/// The group of a process, unless the process is a zombie: its first thread is a zombie, and it has
/// no other. The name, in parentheses, may hold anything.
fn group_if_alive(stat: &[u8]) -> Option<i32> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = stat[after_name..].split(|byte| *byte == b' ').filter(|it| !it.is_empty());
    let (state, _parent, group) = (fields.next()?, fields.next()?, fields.next()?);
    // The 20th field of the line counts the threads; three of those after the name are taken.
    let threads = fields.nth(14)?;
    if matches!(state, b"Z" | b"X") && matches!(threads, b"0" | b"1") {
        return None;
    }
    std::str::from_utf8(group).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_in_no_group_and_a_name_may_hold_anything() {
        let stat = |name: &str, state: &str, threads: u8| {
            format!("7 ({name}) {state} 1 42 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 99\n")
        };
        assert_eq!(group_if_alive(stat("a) Z 1", "S", 1).as_bytes()), Some(42));
        assert_eq!(group_if_alive(stat("sh", "Z", 1).as_bytes()), None);
        // Its first thread has ended, and another one runs.
        assert_eq!(group_if_alive(stat("sh", "Z", 2).as_bytes()), Some(42));
        assert_eq!(group_if_alive(b""), None);
        assert!(alive().unwrap().contains(&nix::unistd::getpgrp().as_raw()));
    }
}
