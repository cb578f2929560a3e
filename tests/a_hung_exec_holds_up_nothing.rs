//! Promises 5 and 6: a program that hangs in its exec holds up no other spawn and no shutdown, and
//! what comes of it late does not outlive the policy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    time::{Duration, Instant},
};

use actix_process::{Child, Command, Policy, PolicyHandle, SpawnError, SpawnStep};
use futures::FutureExt;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{until, within};

/// A program whose execution waits: the kernel asks the holder of a lease to give it up first, and
/// waits for that for 45 seconds.
struct Hanging {
    path: PathBuf,
    lease: File,
}

impl Hanging {
    fn new(directory: &Path, name: &str) -> Self {
        let path = directory.join(name);
        fs::copy("/bin/sleep", &path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        // Not for writing: that would make the program busy for others.
        let lease = File::open(&path).unwrap();
        const F_SETSIG: i32 = 10;
        // SAFETY: system calls on an open descriptor. The holder is told by a signal that does
        // nothing by default.
        unsafe {
            assert_eq!(libc::fcntl(lease.as_raw_fd(), F_SETSIG, libc::SIGURG), 0);
            assert_eq!(libc::fcntl(lease.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK), 0);
        }
        Hanging { path, lease }
    }

    fn command(&self) -> Command {
        Command::new(&self.path).arg("1000")
    }

    /// Whether a process of ours waits in its exec of this program.
    fn is_hung(&self) -> bool {
        // SAFETY: asks for the lease's state: it is being broken if it is not a write lease any more.
        unsafe { libc::fcntl(self.lease.as_raw_fd(), libc::F_GETLEASE) != libc::F_WRLCK }
    }

    /// Lets the program run. The processes that hang have a copy of the descriptor.
    fn release(&self) {
        // SAFETY: gives the lease of an open descriptor up.
        let released =
            unsafe { libc::fcntl(self.lease.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
        assert_eq!(released, 0);
    }
}

#[test]
fn other_spawns_go_on_beside_many() {
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let policy = Policy::start().unwrap();
        let hanging: Vec<_> =
            (0..5).map(|number| Hanging::new(directory.path(), &number.to_string())).collect();
        let spawns: Vec<_> =
            hanging.iter().map(|it| Box::pin(policy.spawn(it.command()))).collect();
        let mut spawns = futures::future::join_all(spawns);
        assert!((&mut spawns).now_or_never().is_none());
        until("all hang", || hanging.iter().all(Hanging::is_hung)).await;
        for round in 0..20 {
            let begin = Instant::now();
            let child =
                within(policy.spawn(Command::shell(format!("exit {round}")))).await.unwrap();
            assert_eq!(within(child.wait()).await.unwrap().status.returncode(), round);
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        }
        // Given up, the lease lets the programs run.
        hanging.iter().for_each(Hanging::release);
        for child in within(spawns).await {
            child.unwrap().kill().await.unwrap();
        }
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_shutdown_ends_the_others_at_once_and_refuses_the_one_that_hangs() {
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let hanging =
            [Hanging::new(directory.path(), "one"), Hanging::new(directory.path(), "two")];
        let policy = Policy::start().unwrap();
        let bystander = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let mut spawns = Box::pin(futures::future::join_all(
            hanging.iter().map(|it| policy.spawn(it.command())),
        ));
        assert!((&mut spawns).now_or_never().is_none());
        until("both hang", || hanging.iter().all(Hanging::is_hung)).await;
        // One that waits behind them is refused, too.
        let mut queued = Box::pin(policy.spawn(Command::new("true")));
        let _ = (&mut queued).now_or_never();
        let begin = Instant::now();
        within(policy.shutdown(support::DEADLINE)).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(bystander.wait().await.unwrap().status.returncode(), -libc::SIGTERM);
        for refused in within(spawns).await {
            assert_eq!(refused.unwrap_err().step, SpawnStep::Intake);
        }
        let _ = within(queued).await;
    });
}

/// A spawn that hangs in its exec.
async fn hung<'a>(
    policy: &'a PolicyHandle,
    hanging: &Hanging,
) -> Pin<Box<impl Future<Output = Result<Child, SpawnError>> + use<'a>>> {
    let mut spawn = Box::pin(policy.spawn(hanging.command()));
    assert!((&mut spawn).now_or_never().is_none());
    until("it hangs", || hanging.is_hung()).await;
    spawn
}

#[test]
fn one_that_was_given_up_is_killed_though_it_hangs() {
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let hanging = Hanging::new(directory.path(), "one");
        let policy = Policy::start().unwrap();
        let spawn = hung(&policy, &hanging).await;
        drop(spawn);
        until("it is killed and reaped", || support::children().is_empty()).await;
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn one_that_something_else_kills_is_an_error_that_says_so() {
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let hanging = Hanging::new(directory.path(), "one");
        let policy = Policy::start().unwrap();
        let spawn = hung(&policy, &hanging).await;
        let [pid] = &support::children()[..] else { panic!("not one child") };
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        let error = within(spawn).await.unwrap_err();
        assert_eq!(error.step, SpawnStep::Execute);
        assert!(error.to_string().contains("SIGKILL"), "{error}");
        assert_eq!(support::children(), [""; 0]);
        policy.shutdown(Duration::ZERO).await;
    });
}
