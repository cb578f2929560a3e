//! The look-up of a bare program name in the `PATH` that the child will have.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use nix::unistd::{AccessFlags, access};

use crate::{Command, command::EnvChange};

/// Where the C library looks when there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program's path where `posix_spawnp` would look in the wrong `PATH`: the parent's, when the
/// command changes it. (`std::process` forks in that case, which takes 100 ms under a parent of
/// 4 GiB.) `None` where there is nothing to look up or nothing was found.
pub(super) fn search(command: &Command) -> Option<PathBuf> {
    if command.program.as_bytes().contains(&b'/') {
        return None;
    }
    let path = match changed_path(command) {
        Some(path) => path.map_or_else(|| OsString::from(DEFAULT_PATH), OsStr::to_owned),
        None => return None,
    };
    let candidates = env::split_paths(&path).map(|dir| dir.join(&command.program));
    let mut runnable =
        candidates.filter(|path| path.is_file() && access(path, AccessFlags::X_OK).is_ok());
    runnable.next()
}

/// The child's `PATH`, where the command changes it: set, or gone.
fn changed_path(command: &Command) -> Option<Option<&OsStr>> {
    let last = command.env.iter().rev().find(|change| change.key() == "PATH");
    match last {
        Some(EnvChange::Set(_, value)) => Some(Some(value)),
        Some(EnvChange::Remove(_)) => Some(None),
        None if command.env_clear => Some(None),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_the_childs_path_not_in_the_parents() {
        let sh = Command::new("sh");
        assert_eq!(search(&sh), None);
        assert_eq!(search(&sh.clone().env("PATH", "/nowhere:/bin")), Some("/bin/sh".into()));
        assert_eq!(search(&sh.clone().env_clear()), Some("/bin/sh".into()));
        assert_eq!(search(&sh.env("PATH", "/nowhere")), None);
        assert_eq!(search(&Command::new("/bin/sh").env_clear()), None);
    }
}
