//! A policy that cannot start says which step failed and why, panics nowhere, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, io, time::Duration};

use actix_process::{Command, Driver, Overflow, Policy, StartError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{again, within};

fn names_the_step_and_the_errno(error: &StartError, errno: i32) {
    let expected = io::Error::from_raw_os_error(errno).to_string();
    assert!(error.to_string().contains(&expected), "{error}");
    let steps = ["could not", "driver", "launched"];
    assert!(steps.iter().any(|step| error.to_string().contains(step)), "{error}");
}

#[test]
fn too_few_descriptors() {
    support::run(async || {
        // The limit is raised once.
        Policy::start().unwrap().shutdown(Duration::ZERO).await;
        let directory = tempfile::tempdir().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let (mut failed, mut started) = (0, 0);
        for spare in 0..60 {
            let lowest =
                io::pipe().map(|(reader, _)| std::os::fd::AsRawFd::as_raw_fd(&reader)).unwrap();
            let builder =
                Policy::builder().overflow(Overflow::Spill).spill(directory.path(), 4 << 20);
            setrlimit(Resource::RLIMIT_NOFILE, lowest as u64 + spare, hard).unwrap();
            let start = builder.start();
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            match start {
                Ok(policy) => {
                    started += 1;
                    let child = policy.spawn(Command::new("true")).await.unwrap();
                    assert!(within(child.wait()).await.unwrap().status.success());
                    within(policy.shutdown(Duration::ZERO)).await;
                }
                Err(error) => {
                    failed += 1;
                    names_the_step_and_the_errno(&error, libc::EMFILE);
                }
            }
        }
        assert!(failed > 0 && started > 0, "{failed} failed, {started} started");
    });
}

#[test]
fn too_few_threads() {
    // The limit does not hold for root.
    if again::told().is_none() {
        return again::run("too_few_threads", "limited");
    }
    again::become_another_user();
    support::run(async || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap();
        let threads = fs::read_dir("/proc/self/task").unwrap().count() as u64;
        let (mut failed, mut started) = (0, 0);
        for spare in 0..8 {
            setrlimit(Resource::RLIMIT_NPROC, threads + spare, hard).unwrap();
            let start = Policy::builder().driver(Driver::Sweep).start();
            setrlimit(Resource::RLIMIT_NPROC, soft, hard).unwrap();
            match start {
                Ok(policy) => {
                    started += 1;
                    within(policy.shutdown(Duration::ZERO)).await;
                }
                Err(error) => {
                    failed += 1;
                    names_the_step_and_the_errno(&error, libc::EAGAIN);
                }
            }
        }
        assert!(failed > 0 && started > 0, "{failed} failed, {started} started");
    });
}

/// In a sandbox that refuses both ways of launching. What a container refuses is refused here, too.
#[test]
fn no_way_of_launching() {
    let Some(filtered) = again::told() else {
        return ["clone3", "both"].iter().for_each(|it| again::run("no_way_of_launching", it));
    };
    support::run(async || {
        refuse(filtered == "both");
        let start = Policy::builder().driver(Driver::Sweep).start();
        if filtered == "both" {
            let error = start.unwrap_err();
            assert!(matches!(error, StartError::Launch(_)), "{error}");
            assert!(error.to_string().contains("os error 1"), "{error}");
            return;
        }
        let policy = start.unwrap();
        let child = policy.spawn(Command::shell("exit 3")).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status.returncode(), 3);
        policy.shutdown(Duration::ZERO).await;
    });
}

/// Refuses `clone3` as containers do, in every thread, and `clone` for processes, too, if wanted.
fn refuse(clone_too: bool) {
    use libc::{
        BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
        SECCOMP_RET_ERRNO, sock_filter, sock_fprog,
    };
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |code: u32, k: u32, jt, jf| sock_filter { code: code as u16, jt, jf, k };
    let errno = |errno: i32| SECCOMP_RET_ERRNO | errno as u32;
    // The number of the call, and the low half of its first argument.
    let mut filter = vec![
        statement(BPF_LD | BPF_W | BPF_ABS, 0),
        jump(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_clone3 as u32, 0, 1),
        statement(BPF_RET | BPF_K, errno(libc::ENOSYS)),
    ];
    if clone_too {
        filter.extend([
            jump(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_clone as u32, 0, 3),
            statement(BPF_LD | BPF_W | BPF_ABS, 16),
            jump(BPF_JMP | BPF_JSET | BPF_K, libc::CLONE_THREAD as u32, 1, 0),
            statement(BPF_RET | BPF_K, errno(libc::EPERM)),
        ]);
    }
    filter.push(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is complete and lives through the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
        let set = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        );
        assert_eq!(set, 0);
    }
}
