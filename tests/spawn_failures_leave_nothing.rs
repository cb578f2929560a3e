//! Bad input: a typed error that names the program, the step and the OS error, and nothing left.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, io, os::unix::process::CommandExt};

use actix_process::{Command, Fault, Policy, PolicyHandle, ProcessGroup, SpawnStep, inject};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{children, open_descriptors, run_with_both_launches};

/// Fails fifty times in the same way, with the descriptors and the children as they were.
async fn fails(policy: &PolicyHandle, command: &Command, step: SpawnStep, errno: Option<i32>) {
    let before = (open_descriptors(), children());
    for _ in 0..50 {
        let error = policy.spawn(command.clone()).await.expect_err("this cannot be spawned");
        assert_eq!((error.step, error.source.raw_os_error()), (step, errno), "{error}");
        assert!(error.to_string().contains(&format!("`{}`", error.program)), "{error}");
    }
    assert_eq!((open_descriptors(), children()), before);
}

#[test]
fn programs_that_cannot_be_executed() {
    run_with_both_launches(async |policy| {
        let bystander = policy
            .spawn(Command::new("cat").arg("/dev/zero").stdout(actix_process::OutputTo::Null))
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "no program").unwrap();
        let execute = SpawnStep::Execute;
        fails(policy, &Command::new("/no/such/program"), execute, Some(libc::ENOENT)).await;
        fails(policy, &Command::new("no-such-program"), execute, Some(libc::ENOENT)).await;
        fails(policy, &Command::new("sh").env("PATH", "/nowhere"), execute, Some(libc::ENOENT))
            .await;
        fails(policy, &Command::new(&plain), execute, Some(libc::EACCES)).await;
        fails(policy, &Command::new(dir.path()), execute, Some(libc::EACCES)).await;
        let lost = Command::new("true").current_dir("/no/such/directory");
        fails(policy, &lost, SpawnStep::EnterDirectory, Some(libc::ENOENT)).await;
        let into_file = Command::new("true").current_dir(&plain);
        fails(policy, &into_file, SpawnStep::EnterDirectory, Some(libc::ENOTDIR)).await;
        // A group of another session cannot be joined.
        let stranger = Command::new("true").process_group(ProcessGroup::Join(1));
        fails(policy, &stranger, SpawnStep::JoinGroup, Some(libc::EPERM)).await;
        assert!(bystander.try_wait().is_none(), "another child was touched");
        bystander.kill().await.unwrap();
    });
}

#[test]
fn a_missing_interpreter_is_named() {
    run_with_both_launches(async |policy| {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, mode).unwrap();
            path
        };
        let missing = write("missing", b"#! /no/such/interpreter -x\n");
        let chained = write("chained", format!("#!{}\n", missing.display()).as_bytes());
        let relative = write("relative", b"#!no/such\n");
        fs::write(directory.path().join("plain"), "").unwrap();
        let denied =
            write("denied", format!("#!{}/plain\n", directory.path().display()).as_bytes());
        // A program whose loader is not there, as one of another C library.
        let program = fs::read("/bin/true").unwrap();
        let loader = b"/lib64/ld-linux-x86-64.so.2";
        let at = program.windows(loader.len()).position(|window| window == loader).unwrap();
        let mut other = program.clone();
        other[at..at + 8].copy_from_slice(b"/nowhere");
        let other = write("other", &other);
        let before = (open_descriptors(), children());
        for (path, kind, named) in [
            (&missing, io::ErrorKind::NotFound, "/no/such/interpreter"),
            (&chained, io::ErrorKind::NotFound, "/no/such/interpreter"),
            (&relative, io::ErrorKind::NotFound, "no/such"),
            (&denied, io::ErrorKind::PermissionDenied, "plain"),
            (&other, io::ErrorKind::NotFound, "/nowhere"),
        ] {
            for command in [
                Command::new(path),
                Command::new(path.file_name().unwrap())
                    .env("PATH", format!("/nowhere:{}", directory.path().display())),
            ] {
                let error = policy.spawn(command).await.unwrap_err();
                assert_eq!(
                    (error.step, error.source.kind()),
                    (SpawnStep::Execute, kind),
                    "{error}"
                );
                assert!(error.to_string().contains(named), "{error}");
                assert!(error.to_string().contains("os error"), "{error}");
            }
        }
        assert_eq!((open_descriptors(), children()), before);
    });
}

#[test]
fn commands_that_no_kernel_could_take() {
    run_with_both_launches(async |policy| {
        let check = SpawnStep::CheckCommand;
        fails(policy, &Command::new(""), check, None).await;
        fails(policy, &Command::new("a\0b"), check, None).await;
        fails(policy, &Command::new("true").arg("a\0b"), check, None).await;
        fails(policy, &Command::new("true").arg0("a\0b"), check, None).await;
        fails(policy, &Command::new("true").env("a\0b", "c"), check, None).await;
        fails(policy, &Command::new("true").env("a=b", "c"), check, None).await;
        fails(policy, &Command::new("true").env("a", "b\0c"), check, None).await;
        fails(policy, &Command::new("true").current_dir("a\0b"), check, None).await;
        let huge = Command::new("true").arg("x".repeat(4 * 1024 * 1024));
        fails(policy, &huge, SpawnStep::Execute, Some(libc::E2BIG)).await;
    });
}

#[test]
fn too_many_descriptors() {
    run_with_both_launches(async |policy| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        for spare in 0..9 {
            // Descriptors are given out from the lowest free number.
            let lowest =
                io::pipe().map(|(reader, _)| std::os::fd::AsRawFd::as_raw_fd(&reader)).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, lowest as u64 + spare, hard).unwrap();
            let spawned = policy.spawn(Command::new("true")).await;
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            match spawned {
                Ok(child) => assert!(child.wait().await.unwrap().status.success()),
                Err(error) => assert_eq!(
                    (error.step, error.source.raw_os_error()),
                    (SpawnStep::ReserveDescriptors, Some(libc::EMFILE)),
                    "{error}"
                ),
            }
        }
        assert!(policy.spawn(Command::new("true")).await.is_ok());
    });
}

#[test]
fn a_late_failure_kills_and_reaps_the_child() {
    run_with_both_launches(async |policy| {
        inject(Fault::SpawnUnwatched, 50);
        let dir = tempfile::tempdir().unwrap();
        let command = Command::shell("exec sleep 1000").current_dir(dir.path());
        fails(policy, &command, SpawnStep::Watch, Some(libc::ENOSPC)).await;
    });
}

const LIMITED: &str = "ACTIX_PROCESS_TEST_LIMITED";

#[test]
fn too_many_processes() {
    // The limit does not hold for root, so this test runs itself once more as nobody.
    if std::env::var_os(LIMITED).is_none() {
        support::run_in(|| {
            // Nobody may not read our target folder: a copy in a readable one runs.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            let dir = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
            let copy = dir.path().join("again");
            fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
            let mut again = std::process::Command::new(&copy);
            again.args(["--exact", "too_many_processes"]).env(LIMITED, "1").current_dir("/");
            if nix::unistd::geteuid().is_root() {
                again.uid(65_533).gid(65_533);
            }
            let output = again.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        });
        return;
    }
    support::run(async || {
        let policy = Policy::start().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap();
        setrlimit(Resource::RLIMIT_NPROC, 1, hard).unwrap();
        fails(&policy, &Command::new("true"), SpawnStep::CreateProcess, Some(libc::EAGAIN)).await;
        setrlimit(Resource::RLIMIT_NPROC, soft, hard).unwrap();
        assert!(policy.spawn(Command::new("true")).await.is_ok());
        policy.shutdown(std::time::Duration::ZERO).await;
    });
}
