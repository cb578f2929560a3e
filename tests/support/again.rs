//! Runs a test of this binary once more in a process of its own, as another user if need be: for
//! what a process can change only for itself as a whole.

use std::{
    env,
    fs::{self, File},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

const AGAIN: &str = "ACTIX_PROCESS_TEST_AGAIN";

const DIRECTORY: &str = "ACTIX_PROCESS_TEST_DIRECTORY";

/// A directory for the process that a test is run again in, which any user may write to.
pub fn directory() -> PathBuf {
    env::var_os(DIRECTORY).unwrap().into()
}

/// What the test was told, in the process that it is run again in.
pub fn told() -> Option<String> {
    env::var(AGAIN).ok()
}

/// Runs the test once more, alone, where `told` gives `tell`. It has to succeed.
pub fn run(test: &str, tell: &str) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(AGAIN, tell).process_group(0);
    // Alone: what it takes is not to be seen by another test.
    let mut output = None;
    super::run_in(|| {
        let directory = tempfile::TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        command.env(DIRECTORY, directory.path());
        // std would keep its own one.
        command.stdin(File::open("/dev/null").unwrap());
        output = Some(command.output().unwrap());
        command.stdin(Stdio::inherit());
    });
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{tell}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Gives up all that root may do, for a user whom nobody else is. `false` without the right to.
pub fn become_another_user() -> bool {
    if !Uid::effective().is_root() {
        // It has no rights to give up, but others may have used up a part of its quotas.
        return false;
    }
    // The limits of a user hold for all of its processes: not the one of another run.
    let id = 100_000 + std::process::id();
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(id)).unwrap();
    setuid(Uid::from_raw(id)).unwrap();
    // Without it, what is in /proc of this process is root's.
    nix::sys::prctl::set_dumpable(true).unwrap();
    true
}
