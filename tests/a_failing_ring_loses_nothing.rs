//! A ring that the kernel serves no more in mid-life: its pipes go to the next driver, and no byte,
//! exit or write is lost or comes twice.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{collections::HashMap, time::Duration};

use actix_process::{
    Child, Command, Driver, Fact, Fault, OutputTo, PolicyHandle, Source, Start, Stdin, Terminal,
    inject,
};
use bytes::Bytes;
use support::{again, run_with_policy, within};

/// Refuses `io_uring_enter` to all threads of this process, as a sandbox that is entered late.
fn refuse_the_ring() {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let number = u32::try_from(libc::SYS_io_uring_enter).unwrap();
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs().unwrap();
    // SAFETY: the program and its statements live until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

async fn shell(policy: &PolicyHandle, line: impl Into<std::ffi::OsString>) -> Child {
    policy.spawn(Command::shell(line)).await.unwrap()
}

const PART: usize = 50_000;
const PARTS: usize = 20;

/// Numbered lines, whose order and number can be seen.
fn numbered(part: usize) -> Bytes {
    let line = |number: usize| format!("{:09}\n", part * PART / 10 + number);
    (0..PART / 10).map(line).collect::<String>().into()
}

/// Everything that a driver can have in hand, before, while and after the ring is broken.
async fn nothing_is_lost(policy: &PolicyHandle, break_it: impl Fn()) {
    let mut log = policy.log(Start::Beginning);
    let quiet = shell(policy, "exec sleep 1000").await;
    let sleeper = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
    let fed = |_| policy.spawn(Command::new("cat").stdin(Stdin::Piped));
    let fed = futures::future::try_join_all((0..4).map(fed)).await.unwrap();
    let noisy = shell(policy, "head -c 2000000 /dev/zero; head -c 300000 /dev/zero >&2").await;
    let paused = shell(policy, "sleep 0.02; head -c 300000 /dev/zero").await;
    paused.pause(Source::Stdout);
    let line = "read x; echo got $x; exit 6";
    let on_terminal = policy.spawn(Command::shell(line).terminal(Terminal::default()));
    let on_terminal = on_terminal.await.unwrap();
    let shared = policy.attributed_output().await.unwrap();
    let attributed = Command::shell("for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.01; done");
    let attributed = attributed.stdout(OutputTo::Shared(shared.clone()));
    let attributed = policy.spawn(attributed).await.unwrap();
    let ends = |n: usize| shell(policy, format!("sleep 0.0{n}; echo {n}; exit {n}"));
    let ending = futures::future::join_all((0..10).map(ends)).await;
    // Its reader is late: a write is in flight for long.
    let late = policy.spawn(Command::shell("sleep 0.1; wc -c").stdin(Stdin::Piped));
    let late = late.await.unwrap();
    late.stdin().unwrap().write(vec![0; 1_000_000]).unwrap();
    late.stdin().unwrap().write_eof().unwrap();
    let feeding = fed.iter().map(|child| {
        let (stdin, break_it) = (child.stdin().unwrap(), &break_it);
        async move {
            for part in 0..PARTS {
                if part == PARTS / 4 {
                    break_it();
                }
                stdin.ready().await.unwrap();
                stdin.write(numbered(part)).unwrap();
            }
            stdin.write_eof().unwrap();
        }
    });
    within(futures::future::join_all(feeding)).await;
    let after = shell(policy, "echo after; exit 9").await;
    paused.resume(Source::Stdout);
    on_terminal.stdin().unwrap().write("it\n").unwrap();

    let exit = within(after.wait()).await.unwrap();
    assert_eq!((exit.status.returncode(), exit.output_bytes), (9, 6));
    for (number, child) in ending.iter().enumerate() {
        let exit = within(child.wait()).await.unwrap();
        assert_eq!((exit.status.returncode() as usize, exit.output_bytes), (number, 2));
    }
    for (child, bytes) in [(&noisy, 2_300_000), (&paused, 300_000), (&late, 8)] {
        let exit = within(child.wait()).await.unwrap();
        assert_eq!((exit.output_bytes, exit.status.returncode()), (bytes, 0), "{}", exit.program);
    }
    assert_eq!(within(on_terminal.wait()).await.unwrap().status.returncode(), 6);
    within(attributed.wait()).await.unwrap();
    for child in [&quiet, &sleeper] {
        assert!(child.try_wait().is_none());
        child.kill().await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status.returncode(), -libc::SIGKILL);
    }
    for child in &fed {
        within(child.wait()).await.unwrap();
    }
    let context = shared.id();
    drop(shared);
    let (mut output, mut next): (HashMap<_, Vec<u8>>, _) = (HashMap::new(), 0);
    let mut exits = 0;
    'reading: loop {
        let batch = within(log.next()).await.unwrap();
        assert_eq!(batch.gap(), None);
        for entry in batch.entries() {
            assert_eq!(entry.seq.get(), next);
            next += 1;
            match &entry.fact {
                Fact::Chunk(chunk) => {
                    if entry.child == context {
                        assert_eq!(chunk.writer, Some(attributed.pid()));
                    }
                    output.entry(entry.child).or_default().extend_from_slice(&chunk.bytes);
                }
                Fact::Exited(_) => exits += 1,
                Fact::Closed if entry.child == context => break 'reading,
                _ => {}
            }
        }
    }
    assert_eq!(exits, 7 + fed.len() + ending.len() + 1);
    let all: Vec<u8> = (0..PARTS).flat_map(numbered).collect();
    for child in &fed {
        assert!(output[&child.id()] == all, "{} of {} bytes", output[&child.id()].len(), all.len());
    }
    assert_eq!(output[&late.id()].trim_ascii(), b"1000000");
    assert_eq!(output[&on_terminal.id()], b"it\r\ngot it\r\n");
    assert_eq!(output[&context], b"1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

#[test]
fn with_an_error_that_passes_and_with_one_that_stays() {
    for times in [1, usize::MAX] {
        for _ in 0..3 {
            run_with_policy(async |policy| {
                if policy.driver() == Driver::Ring {
                    nothing_is_lost(policy, || inject(Fault::RingFails, times)).await;
                }
                inject(Fault::RingFails, 0);
            });
        }
    }
}

#[test]
fn with_a_filter_that_is_installed_later() {
    const TEST: &str = "with_a_filter_that_is_installed_later";
    if again::told().is_none() {
        again::run(TEST, "it");
        return;
    }
    run_with_policy(async |policy| {
        if policy.driver() == Driver::Ring {
            nothing_is_lost(policy, refuse_the_ring).await;
        }
    });
}

/// A record that is reported while the driver changes is found by a look or a nudge, not by the
/// look that comes once in a second.
#[test]
fn exits_at_that_moment_are_not_late() {
    run_with_policy(async |policy| {
        if policy.driver() != Driver::Ring {
            return;
        }
        let sleeping = |_| shell(policy, "exec sleep 1000");
        let children = futures::future::join_all((0..50).map(sleeping)).await;
        for (number, child) in children.iter().enumerate() {
            if number == 25 {
                inject(Fault::RingFails, 1);
            }
            child.kill().await.unwrap();
        }
        let all = futures::future::join_all(children.iter().map(|child| child.wait()));
        let in_time = tokio::time::timeout(Duration::from_millis(700), all).await;
        inject(Fault::RingFails, 0);
        assert!(in_time.is_ok(), "an exit was found late");
    });
}
