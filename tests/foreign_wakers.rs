//! A waker or a destructor of the user's that panics loses nothing, and keeps nobody else from
//! hearing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Wake, Waker},
};

use actix_process::{Command, Start, Stdin};
use bytes::Bytes;
use futures::StreamExt;
use support::{run_with_policy, within};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("injected: a waker");
    }
}

/// Polls the future once with a waker that panics.
fn leave_waker<F: Future>(future: Pin<&mut F>) {
    let waker = Waker::from(Arc::new(Panics));
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn of_one_who_waits_for_the_exit() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("read line").stdin(Stdin::Piped)).await.unwrap();
        let (first, second, third) = (child.clone(), child.clone(), child.clone());
        let before = actix::spawn(async move { first.wait().await });
        tokio::task::yield_now().await;
        let mut bad = pin!(second.wait());
        leave_waker(bad.as_mut());
        let after = actix::spawn(async move { third.wait().await });
        tokio::task::yield_now().await;
        child.stdin().unwrap().write("\n").unwrap();
        for waiting in [before, after] {
            assert!(within(waiting).await.unwrap().unwrap().status.success());
        }
        assert!(within(bad).await.unwrap().status.success());
    });
}

#[test]
fn of_one_who_reads_the_log() {
    run_with_policy(async |policy| {
        let mut readers = [(); 3].map(|()| policy.log(Start::Now));
        let [first, second, third] = &mut readers;
        let mut others = [pin!(first.next()), pin!(third.next())];
        for other in &mut others {
            assert!(futures::poll!(other.as_mut()).is_pending());
        }
        let mut bad = pin!(second.next());
        leave_waker(bad.as_mut());
        let child = policy.spawn(Command::new("echo").arg("x")).await.unwrap();
        assert_eq!(within(child.output()).await.unwrap().stdout, b"x\n");
        for other in others {
            assert!(within(other).await.is_some());
        }
        assert!(within(bad).await.is_some());
    });
}

/// A waker whose destructor panics.
struct EndsBadly;

impl Wake for EndsBadly {
    fn wake(self: Arc<Self>) {
        std::mem::forget(self);
    }
}

impl Drop for EndsBadly {
    fn drop(&mut self) {
        panic!("injected: the destructor of a waker");
    }
}

#[test]
fn of_a_reader_that_goes_while_it_holds_reading_back() {
    run_with_policy(async |policy| {
        let mut reader = policy.log(Start::Now);
        {
            let waker = Waker::from(Arc::new(EndsBadly));
            let mut context = Context::from_waker(&waker);
            assert!(pin!(reader.next()).poll(&mut context).is_pending());
        }
        drop(reader);
        let child = policy.spawn(Command::shell("head -c 30000000 /dev/zero")).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().output_bytes, 30_000_000);
    });
}

#[test]
fn of_one_who_waits_to_write() {
    run_with_policy(async |policy| {
        let command = Command::shell("read go; exec wc -c").stdin(Stdin::Piped);
        let child = policy.spawn(command).await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.write("go\n").unwrap();
        let mut written = 0;
        stdin.write(vec![b'x'; 4_000_000]).unwrap();
        written += 4_000_000;
        let mut bad = pin!(stdin.flush());
        leave_waker(bad.as_mut());
        within(stdin.flush()).await.unwrap();
        within(bad).await.unwrap();
        stdin.write_eof().unwrap();
        let counted = within(child.output()).await.unwrap().stdout;
        assert_eq!(counted.trim_ascii(), written.to_string().as_bytes());
    });
}

/// Memory of the user's whose destructor panics.
struct PanicsAtItsEnd;

impl AsRef<[u8]> for PanicsAtItsEnd {
    fn as_ref(&self) -> &[u8] {
        b"through\n"
    }
}

impl Drop for PanicsAtItsEnd {
    fn drop(&mut self) {
        panic!("injected: a destructor");
    }
}

#[test]
fn memory_of_the_user_s_that_panics_at_its_end_is_written_whole() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::new("cat").stdin(Stdin::Piped)).await.unwrap();
        let stdin = child.stdin().unwrap();
        for _ in 0..3 {
            stdin.write(Bytes::from_owner(PanicsAtItsEnd)).unwrap();
        }
        stdin.write_eof().unwrap();
        assert_eq!(within(child.output()).await.unwrap().stdout, b"through\n".repeat(3));
        // And what nobody reads any more.
        let child = policy.spawn(Command::new("sleep").arg("100").stdin(Stdin::Piped));
        let child = child.await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.write(Bytes::from_owner(PanicsAtItsEnd)).unwrap();
        stdin.abort();
        child.kill().await.unwrap();
        within(child.wait()).await.unwrap();
        let lines: Vec<_> = within(policy.log(Start::Beginning).take(1).collect()).await;
        assert_eq!(lines.len(), 1);
    });
}
