//! Promise 5: a child's process group is ended whether or not it holds pipes, and so is a child that
//! has left its group; and a shutdown waits for no group that is empty.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use actix_process::{Child, Command, Policy, PolicyHandle, ProcessGroup, Signal};
use support::{until, within};

fn leader(line: &str) -> Command {
    Command::shell(line).process_group(ProcessGroup::Own)
}

/// The pid that a child prints as its first line.
async fn printed_pid(child: &Child) -> i32 {
    let line = within(child.wait_for_line("^[0-9]+$", support::DEADLINE)).await.unwrap();
    String::from_utf8_lossy(&line.line.bytes).parse().unwrap()
}

/// Not there, or a zombie whose parent has not reaped it yet.
fn is_gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

async fn start() -> PolicyHandle {
    Policy::start().unwrap()
}

#[test]
fn a_member_that_holds_no_pipe_ends_after_its_leader() {
    support::run(async || {
        let policy = start().await;
        let child =
            policy.spawn(leader("sleep 1000 >/dev/null 2>&1 & echo $!; exit 0")).await.unwrap();
        let member = printed_pid(&child).await;
        assert!(within(child.wait()).await.unwrap().status.success());
        let begin = Instant::now();
        within(policy.shutdown(support::DEADLINE)).await;
        assert!(is_gone(member));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    });
}

#[test]
fn it_can_be_signalled_until_it_has_ended() {
    support::run(async || {
        let policy = start().await;
        let child =
            policy.spawn(leader("sleep 1000 >/dev/null 2>&1 & echo $!; exit 0")).await.unwrap();
        let member = printed_pid(&child).await;
        within(child.wait()).await.unwrap();
        child.signal_group(Signal::SIGKILL).await.unwrap();
        until("the member is gone", || is_gone(member)).await;
        assert!(child.signal(Signal::SIGKILL).await.is_err(), "the child itself has ended");
        policy.shutdown(support::DEADLINE).await;
    });
}

#[test]
fn a_member_that_ignores_term_is_killed_though_its_leader_died_of_it() {
    support::run(async || {
        let policy = start().await;
        let line = "(trap '' TERM; exec sleep 1000) >/dev/null 2>&1 & echo $!; exec sleep 1000";
        let child = policy.spawn(leader(line)).await.unwrap();
        let member = printed_pid(&child).await;
        until("it ignores the signal", || {
            fs::read_to_string(format!("/proc/{member}/comm")).is_ok_and(|it| it.trim() == "sleep")
        })
        .await;
        within(policy.shutdown(Duration::from_millis(200))).await;
        assert!(is_gone(member));
        assert_eq!(child.wait().await.unwrap().status.returncode(), -libc::SIGTERM);
    });
}

/// perl, since a shell cannot join a group.
#[test]
fn a_child_that_joined_another_group_ends() {
    support::run(async || {
        let policy = start().await;
        let other = policy.spawn(leader("exec sleep 1000")).await.unwrap();
        for stubborn in [false, true] {
            let ignore = if stubborn { "$SIG{TERM}='IGNORE';" } else { "" };
            let script = format!(
                "{ignore} setpgrp(0, {}) or die; $| = 1; print \"$$\\n\"; sleep 1000",
                nix::unistd::getpgrp()
            );
            let command = Command::new("perl").arg("-e").arg(script);
            let policy = start().await;
            let child = policy.spawn(command.process_group(ProcessGroup::Own)).await.unwrap();
            assert_eq!(printed_pid(&child).await, child.pid());
            within(policy.shutdown(Duration::from_millis(300))).await;
            let signal = if stubborn { libc::SIGKILL } else { libc::SIGTERM };
            assert_eq!(within(child.wait()).await.unwrap().status.returncode(), -signal);
        }
        // A group's signal reaches it, too.
        let script =
            format!("setpgrp(0, {}) or die; $| = 1; print \"$$\\n\"; sleep 1000", other.pid());
        let command = Command::new("perl").arg("-e").arg(script);
        let child = policy.spawn(command.process_group(ProcessGroup::Own)).await.unwrap();
        printed_pid(&child).await;
        child.signal_group(Signal::SIGTERM).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status.returncode(), -libc::SIGTERM);
        within(policy.shutdown(Duration::ZERO)).await;
    });
}

/// The one that holds the pipe has left the group, and the leader has ended.
#[test]
fn a_shutdown_waits_for_no_group_that_is_empty() {
    support::run(async || {
        let policy = start().await;
        let child = policy.spawn(leader("setsid sleep 1000 & echo $!; exit 0")).await.unwrap();
        let escaped = printed_pid(&child).await;
        within(child.wait()).await.unwrap();
        until("it has left the group", || {
            nix::unistd::getsid(Some(pid(escaped))) == Ok(pid(escaped))
        })
        .await;
        let begin = Instant::now();
        within(policy.shutdown(support::DEADLINE)).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        nix::sys::signal::kill(pid(escaped), Signal::SIGKILL).unwrap();
    });
}

/// A zombie that its parent does not reap is a member for the kernel.
#[test]
fn a_shutdown_waits_for_no_zombie() {
    support::run(async || {
        let policy = start().await;
        // The member's parent is outside of the group, and does not reap it.
        let script = "$| = 1; my $parent = fork // die; if (!$parent) { \
                        my $child = fork // die; if (!$child) { select(undef, undef, undef, 0.1); exit } \
                        setpgrp; print \"$$\\n\"; sleep 1000 while 1 } \
                      sleep 1000";
        let command = Command::new("perl").arg("-e").arg(script);
        let child = policy.spawn(command.process_group(ProcessGroup::Own)).await.unwrap();
        let outside = printed_pid(&child).await;
        let begin = Instant::now();
        within(policy.shutdown(support::DEADLINE)).await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        nix::sys::signal::kill(pid(outside), Signal::SIGKILL).unwrap();
    });
}

/// Nothing is kept for a group that has ended by itself.
#[test]
fn a_group_that_has_ended_leaves_no_descriptor() {
    support::run(async || {
        let policy = start().await;
        policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
        let before = support::open_descriptors_at_rest().await;
        for _ in 0..10 {
            let line = "sleep 0.2 >/dev/null 2>&1 & exit 0";
            within(policy.spawn(leader(line)).await.unwrap().wait()).await.unwrap();
        }
        until("all are let go of", || support::open_descriptors() <= before).await;
        policy.shutdown(support::DEADLINE).await;
    });
}

fn pid(number: i32) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(number)
}

/// The child ends by the TERM; what it started does not.
#[test]
fn a_stop_ends_what_the_child_leaves_in_its_group_too() {
    support::run(async || {
        let policy = Policy::start().unwrap();
        let line = "(trap '' TERM; echo ready; while :; do sleep 0.05; done) & wait";
        let command = Command::shell(line).process_group(ProcessGroup::Own);
        let child = policy.spawn(command).await.unwrap();
        within(child.wait_for_line("ready", support::DEADLINE)).await.unwrap();
        let exit = within(child.stop(Duration::from_millis(300))).await.unwrap();
        assert_eq!(exit.status.signal(), Some(libc::SIGTERM));
        // Its pipe is closed by the last member.
        within(child.closed()).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
    });
}
