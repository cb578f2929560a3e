//! Files that hold output are their owner's alone, and are found again wherever the host has gone;
//! what strangers put beside them leads a replay nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    time::Duration,
};

use actix_process::{
    Command, Fact, LogReader, Overflow, Policy, PolicyHandle, Start,
    recording::{Replay, ReplayError, replay_spilled},
};
use nix::sys::stat::{Mode, umask};
use support::{again, within};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// So much is spilled by a log of 256 KiB with a reader that does not read.
const WRITTEN: u64 = 4 * MIB;

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn paths(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

async fn spilling_into(directory: &Path) -> (PolicyHandle, LogReader) {
    let policy = Policy::builder().log_bound(MIB / 4).overflow(Overflow::Spill);
    let policy = policy.spill(directory, 64 * MIB).start().unwrap();
    let reader = policy.log(Start::Beginning);
    (policy, reader)
}

async fn spill(policy: &PolicyHandle) {
    let written = Command::new("head").args(["-c", &WRITTEN.to_string(), "/dev/zero"]);
    let child = policy.spawn(written).await.unwrap();
    within(child.wait()).await.unwrap();
}

async fn read_all(reader: &mut LogReader) {
    let mut bytes = 0;
    while bytes < WRITTEN {
        let batch = within(reader.next()).await.unwrap();
        assert_eq!(batch.gap(), None);
        for entry in batch.entries() {
            if let Fact::Chunk(chunk) = &entry.fact {
                bytes += chunk.bytes.len() as u64;
            }
        }
    }
}

#[test]
fn whatever_the_umask() {
    const TEST: &str = "whatever_the_umask";
    let Some(told) = again::told() else {
        for mask in ["0", "022", "777"] {
            for user in ["same", "another"] {
                again::run(TEST, &format!("{mask} {user}"));
            }
        }
        return;
    };
    let mut told = told.split(' ');
    let mask = u32::from_str_radix(told.next().unwrap(), 8).unwrap();
    if told.next().unwrap() == "another" {
        again::become_another_user();
    }
    let directory = again::directory();
    support::run(async || {
        umask(Mode::from_bits(mask).unwrap());
        let (policy, mut reader) = spilling_into(&directory).await;
        spill(&policy).await;
        let own = paths(&directory).pop().unwrap();
        let files = paths(&own);
        assert!(!files.is_empty(), "nothing was spilled");
        assert_eq!(mode(&own), 0o700);
        assert!(files.iter().all(|file| mode(file) == 0o600));
        read_all(&mut reader).await;
        policy.shutdown(Duration::ZERO).await;
        assert!(paths(&directory).is_empty(), "files are left");
    });
}

#[test]
fn a_host_that_changes_its_directory_changes_nothing() {
    const TEST: &str = "a_host_that_changes_its_directory_changes_nothing";
    if again::told().is_none() {
        again::run(TEST, "it");
        return;
    }
    let directory = again::directory();
    support::run(async || {
        let elsewhere = Path::new(&directory).join("elsewhere");
        let named = Path::new(&directory).join("spill");
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir(&named).unwrap();
        env::set_current_dir(&directory).unwrap();
        let (policy, mut reader) = spilling_into(Path::new("spill")).await;
        env::set_current_dir(&elsewhere).unwrap();
        spill(&policy).await;
        let files = || paths(paths(&named).pop().unwrap()).len();
        assert!(files() > 0, "nothing was spilled");
        read_all(&mut reader).await;
        // More is written, to new files, and those that nobody needs go.
        spill(&policy).await;
        read_all(&mut reader).await;
        support::until("read files are removed", || files() <= 1).await;
        policy.shutdown(Duration::ZERO).await;
        assert!(paths(&named).is_empty() && paths(&elsewhere).is_empty(), "files are left");
    });
}

/// A recording as a policy spills it, of `hello`.
fn recorded(file: &Path) {
    actix::System::new().block_on(async {
        let policy = Policy::start().unwrap();
        let reader = policy.log(Start::Beginning);
        let child = policy.spawn(Command::new("echo").arg("hello")).await.unwrap();
        within(child.wait()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        reader.record(fs::File::create(file).unwrap()).unwrap();
    });
}

/// What a replay gives: how many outputs of `hello`, and the errors.
fn replayed(directory: &Path) -> (usize, Vec<ReplayError>) {
    let (mut hellos, mut errors) = (0, Vec::new());
    for batch in replay_spilled(directory).unwrap() {
        match batch {
            Ok(batch) => {
                let is_hello =
                    |fact: &Fact| matches!(fact, Fact::Chunk(it) if it.bytes == "hello\n");
                hellos += batch.entries().filter(|entry| is_hello(&entry.fact)).count();
            }
            Err(error) => errors.push(error),
        }
    }
    (hellos, errors)
}

#[test]
fn a_replay_follows_no_link_and_opens_nothing_but_files() {
    support::run_in(|| {
        let (shared, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let at = |name: &str| shared.path().join(name);
        fs::create_dir(at("actix-process-5-1")).unwrap();
        recorded(&at("actix-process-5-1/0.spill"));
        recorded(&elsewhere.path().join("0.spill"));
        assert!(Replay::open(fs::File::open(elsewhere.path().join("0.spill")).unwrap()).is_ok());
        // Links, to a directory, to a file, to a device, to themselves.
        symlink(elsewhere.path(), at("actix-process-1-1")).unwrap();
        symlink(elsewhere.path().join("0.spill"), at("1.spill")).unwrap();
        symlink(elsewhere.path().join("0.spill"), at("actix-process-5-1/1.spill")).unwrap();
        symlink("/dev/zero", at("2.spill")).unwrap();
        symlink("3.spill", at("3.spill")).unwrap();
        // What an open would wait at, and what can be none.
        for fifo in ["4.spill", "actix-process-5-1/4.spill", "actix-process-2-2"] {
            nix::unistd::mkfifo(&at(fifo), Mode::S_IRWXU).unwrap();
        }
        let _socket = UnixListener::bind(at("5.spill")).unwrap();
        fs::create_dir(at("6.spill")).unwrap();
        // Directories that are not a policy's.
        for name in ["mine", "actix-process-x-1", "actix-process-5-1/deeper"] {
            fs::create_dir(at(name)).unwrap();
            recorded(&at(name).join("0.spill"));
        }
        let (hellos, errors) = replayed(shared.path());
        assert_eq!(hellos, 1);
        assert!(errors.is_empty(), "{errors:?}");
        // The one that was named may be a link, and a policy's own.
        let link = elsewhere.path().join("link");
        symlink(at("actix-process-5-1"), &link).unwrap();
        assert_eq!(replayed(&link).0, 1);
    });
}

#[test]
fn neighbours_that_cannot_be_read_are_one_error_each() {
    const TEST: &str = "neighbours_that_cannot_be_read_are_one_error_each";
    if again::told().is_none() {
        again::run(TEST, "it");
        return;
    }
    let directory = again::directory();
    again::become_another_user();
    support::run_in(|| {
        let at = |name: &str| Path::new(&directory).join(name);
        for name in ["actix-process-1-1", "actix-process-2-1", "actix-process-3-1"] {
            fs::create_dir(at(name)).unwrap();
            recorded(&at(name).join("0.spill"));
            recorded(&at(name).join("1.spill"));
        }
        set_mode(at("actix-process-2-1"), 0);
        set_mode(at("actix-process-3-1/0.spill"), 0);
        let (hellos, errors) = replayed(Path::new(&directory));
        set_mode(at("actix-process-2-1"), 0o700);
        assert_eq!(hellos, 3);
        assert_eq!(errors.len(), 2);
        for (error, name) in errors.iter().zip(["actix-process-2-1", "actix-process-3-1/0.spill"]) {
            assert!(matches!(error, ReplayError::Read(_)));
            assert!(error.to_string().contains(at(name).to_str().unwrap()), "{error}");
        }
    });
}
