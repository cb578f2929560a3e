//! Process groups as `/proc` shows them: the kernel counts zombies as members of a group, and an
//! orphan's zombie can stay for ever in a container whose first process reaps none.

use std::{collections::HashSet, fs, io};

/// The groups that have a member which is not a zombie.
///
/// # Errors
///
/// If `/proc` cannot be listed.
pub(crate) fn alive() -> io::Result<HashSet<i32>> {
    let mut groups = HashSet::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process that has ended since the listing is in no group.
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        groups.extend(group_if_alive(&stat));
    }
    Ok(groups)
}

/// The group of a process, unless that is a zombie. The name, in parentheses, may hold anything.
fn group_if_alive(stat: &[u8]) -> Option<i32> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = stat[after_name..].split(|byte| *byte == b' ').filter(|it| !it.is_empty());
    let (state, _parent, group) = (fields.next()?, fields.next()?, fields.next()?);
    if matches!(state, b"Z" | b"X") {
        return None;
    }
    std::str::from_utf8(group).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_in_no_group_and_a_name_may_hold_anything() {
        assert_eq!(group_if_alive(b"7 (a) Z 1) S 1 42 7 0"), Some(42));
        assert_eq!(group_if_alive(b"7 (sh) Z 1 42 7 0"), None);
        assert_eq!(group_if_alive(b""), None);
        assert!(alive().unwrap().contains(&nix::unistd::getpgrp().as_raw()));
    }
}
