//! Looks a bare program name up in the `PATH` that the child will have.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use crate::Command;

/// Where the C library looks if there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The paths to try, in order, as `execvp` does, but in the child's own `PATH`.
pub(super) fn candidates(command: &Command, environment: &[(OsString, OsString)]) -> Vec<PathBuf> {
    if command.program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(&command.program)];
    }
    let path = environment.iter().find(|(key, _)| key == "PATH");
    let path = path.map_or(OsStr::new(DEFAULT_PATH), |(_, path)| path);
    env::split_paths(path).map(|directory| directory.join(&command.program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_the_childs_path_not_in_the_parents() {
        let found = |program: &str, path: Option<&str>| {
            let path = path.map(|path| (OsString::from("PATH"), OsString::from(path)));
            candidates(&Command::new(program), path.as_slice())
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(found("sh", Some("/nowhere:/bin")), paths(&["/nowhere/sh", "/bin/sh"]));
        assert_eq!(found("sh", None), paths(&["/bin/sh", "/usr/bin/sh"]));
        // An empty entry means the working directory, as for `execvp`.
        assert_eq!(found("sh", Some("")), paths(&["sh"]));
        assert_eq!(found("./sh", Some("/bin")), paths(&["./sh"]));
    }
}
