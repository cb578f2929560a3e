//! Promise 5: no zombie, descriptor or thread remains after a shutdown, a drop, a System's end.
//! (The support module checks descriptors, children and threads after each test.)
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::{Duration, Instant};

use actix_process::{
    Command, ExitStatus, Fact, Policy, ProcessGroup, SpawnStep, Start, Stdin, Subscribe, Terminal,
};
use futures::FutureExt;
use support::{recorder, run, run_in};

const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

#[test]
fn children_that_ignore_term_are_killed_after_the_grace() {
    run(async || {
        let policy = Policy::start().unwrap();
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::exits(recorder.clone().recipient())).await.unwrap();
        policy.subscribe(Subscribe::output(recorder.recipient())).await.unwrap();
        let mut children = Vec::new();
        for _ in 0..5 {
            let stubborn = Command::shell(STUBBORN).process_group(ProcessGroup::Own);
            children.push(policy.spawn(stubborn).await.unwrap());
            children.push(policy.spawn(Command::shell("exec sleep 1000")).await.unwrap());
        }
        let ready = |record: &recorder::Record| {
            record.entries().iter().filter(|entry| matches!(entry.fact, Fact::Chunk(_))).count()
        };
        record.until(|record| ready(record) == 5).await;
        let begin = Instant::now();
        policy.shutdown(Duration::from_millis(300)).await;
        assert!(begin.elapsed() >= Duration::from_millis(300));
        for (number, child) in children.iter().enumerate() {
            let ExitStatus::Signaled { signal, .. } = child.wait().await.unwrap().status else {
                panic!("it was not signalled")
            };
            assert_eq!(signal, if number % 2 == 0 { libc::SIGKILL } else { libc::SIGTERM });
        }
        assert_eq!(record.until_exits(10).await.len(), 10);
        assert!(policy.spawn(Command::new("true")).await.is_err());
    });
}

#[test]
fn a_shutdown_waits_no_longer_than_the_children_need_and_takes_their_last_words() {
    run(async || {
        let policy = Policy::start().unwrap();
        let line = "trap 'echo goodbye; exit 6' TERM; echo ready; while :; do sleep 0.01; done";
        let child = policy.spawn(Command::shell(line)).await.unwrap();
        let mut log = policy.log(Start::Beginning);
        let mut seen = Vec::new();
        while seen != b"ready\n" {
            for entry in support::within(log.next()).await.unwrap().entries() {
                if let Fact::Chunk(chunk) = &entry.fact {
                    seen.extend_from_slice(&chunk.bytes);
                }
            }
        }
        policy.shutdown(support::DEADLINE).await;
        let mut goodbye = Vec::new();
        let mut exited = false;
        while let Some(batch) = log.next().await {
            for entry in batch.entries() {
                match &entry.fact {
                    Fact::Chunk(chunk) => goodbye.extend_from_slice(&chunk.bytes),
                    Fact::Exited(exit) => exited = exit.status == ExitStatus::Code(6),
                    _ => {}
                }
            }
        }
        assert_eq!((goodbye.as_slice(), exited), (&b"goodbye\n"[..], true));
        assert_eq!(child.wait().await.unwrap().status, ExitStatus::Code(6));
    });
}

/// What the host still holds (handles, readers, exits) holds nothing open.
#[test]
fn nothing_is_open_when_it_returns() {
    run(async || {
        let before = support::open_descriptors();
        for _ in 0..20 {
            let policy = Policy::start().unwrap();
            let mut held = Vec::new();
            for line in ["exit 0", "exec sleep 1000", "sleep 1000 & exit 1"] {
                let command = Command::shell(line).process_group(ProcessGroup::Own);
                let child = policy.spawn(command.stdin(Stdin::Piped)).await.unwrap();
                held.push((child.stdin(), child));
            }
            let terminal = Command::new("cat").terminal(Terminal::default());
            let reader = policy.log(Start::Beginning);
            let on_terminal = policy.spawn(terminal).await.unwrap();
            policy.shutdown(Duration::ZERO).await;
            assert_eq!(support::open_descriptors(), before);
            drop((held, reader, on_terminal, policy));
        }
    });
}

#[test]
fn six_hundred_that_are_killed_together_are_all_told() {
    run(async || {
        let policy = Policy::start().unwrap();
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::exits(recorder.recipient())).await.unwrap();
        let sleeps = (0..600).map(|_| policy.spawn(Command::new("sleep").arg("1000")));
        let children = futures::future::try_join_all(sleeps).await.unwrap();
        policy.shutdown(Duration::ZERO).await;
        for child in &children {
            let status = child.wait().await.unwrap().status;
            assert!(matches!(status, ExitStatus::Signaled { .. }), "{status}");
        }
        assert_eq!(record.until_exits(600).await.len(), 600);
    });
}

/// Whatever the shutdown comes between: the spawn, the adoption, the waiter's start.
#[test]
fn a_spawn_under_way_does_not_delay_it() {
    for round in 0..60_u64 {
        run(async || {
            let policy = Policy::start().unwrap();
            policy.spawn(Command::new("true")).await.unwrap().wait().await.unwrap();
            let spawn = policy.spawn(Command::new("sleep").arg("1000"));
            let shutdown = async {
                let moment = Instant::now() + Duration::from_micros(round * 20);
                while Instant::now() < moment {
                    tokio::task::yield_now().await;
                }
                // The grace is the deadline: where it is waited for, the test fails.
                policy.shutdown(support::DEADLINE).await;
            };
            let (child, _) = futures::join!(spawn, shutdown);
            if let Ok(child) = child {
                assert_eq!(child.wait().await.unwrap().status.returncode(), -libc::SIGTERM);
            }
        });
    }
}

#[test]
fn a_stopped_child_is_continued_to_hear_the_term() {
    run(async || {
        let policy = Policy::start().unwrap();
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        child.signal(actix_process::Signal::SIGSTOP).await.unwrap();
        policy.shutdown(support::DEADLINE).await;
        let status = child.wait().await.unwrap().status;
        assert_eq!(status, ExitStatus::Signaled { signal: libc::SIGTERM, core_dumped: false });
    });
}

#[test]
fn a_second_shutdown_shortens_the_grace() {
    run(async || {
        let policy = Policy::start().unwrap();
        let child =
            policy.spawn(Command::shell(STUBBORN).process_group(ProcessGroup::Own)).await.unwrap();
        let mut log = policy.log(Start::Beginning);
        while support::within(log.next())
            .await
            .unwrap()
            .entries()
            .all(|entry| !matches!(entry.fact, Fact::Chunk(_)))
        {}
        drop(log);
        let patient = policy.clone();
        let patient = actix::spawn(async move { patient.shutdown(support::DEADLINE * 2).await });
        support::within(policy.shutdown(Duration::ZERO)).await;
        support::within(patient).await.unwrap();
        assert!(!support::exists(child.pid()));
    });
}

#[test]
fn a_spawn_that_is_asked_for_meanwhile_is_refused_at_once() {
    run(async || {
        let policy = Policy::start().unwrap();
        policy.spawn(Command::shell(STUBBORN).process_group(ProcessGroup::Own)).await.unwrap();
        let mut patient = Box::pin(policy.shutdown(support::DEADLINE * 2));
        assert!((&mut patient).now_or_never().is_none());
        let error = support::within(policy.spawn(Command::new("true"))).await.unwrap_err();
        assert_eq!(error.step, SpawnStep::Intake);
        let sent = policy.addr().send(actix_process::Spawn::new(Command::new("true")));
        let answer = support::within(sent).await.expect("an answer, not a closed mailbox");
        assert_eq!(answer.unwrap_err().step, SpawnStep::Intake);
        support::within(policy.shutdown(Duration::ZERO)).await;
        support::within(patient).await;
    });
}

#[test]
fn the_groups_descendants_end_too() {
    run(async || {
        let policy = Policy::start().unwrap();
        let line = "sleep 1000 & echo $!; exec sleep 1000";
        let child =
            policy.spawn(Command::shell(line).process_group(ProcessGroup::Own)).await.unwrap();
        let mut log = policy.log(Start::Beginning);
        let mut pid = String::new();
        while !pid.ends_with('\n') {
            for entry in support::within(log.next()).await.unwrap().entries() {
                if let Fact::Chunk(chunk) = &entry.fact {
                    pid.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
                }
            }
        }
        drop(log);
        policy.shutdown(Duration::from_secs(5)).await;
        let stat = format!("/proc/{}/stat", pid.trim());
        support::until("the descendant is gone", || {
            std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
        })
        .await;
        assert!(child.try_wait().is_some());
    });
}

#[test]
fn dropping_the_last_handle_ends_it_in_the_background() {
    run(async || {
        let policy = Policy::start().unwrap();
        let other = policy.clone();
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        drop(policy);
        assert!(other.spawn(Command::new("true")).await.is_ok());
        drop(other);
        support::within(child.wait()).await.unwrap();
    });
}

#[test]
fn the_end_of_the_system_waits_until_every_child_is_gone() {
    run_in(|| {
        let mut pids = Vec::new();
        let system = actix::System::new();
        let policy = system.block_on(async {
            let policy = Policy::builder().grace(Duration::from_millis(50)).start().unwrap();
            for line in ["exec sleep 1000", STUBBORN] {
                pids.push(policy.spawn(Command::shell(line)).await.unwrap().pid());
            }
            actix::System::current().stop();
            policy
        });
        system.run().unwrap();
        // No deadline is needed: it has happened.
        assert!(pids.iter().all(|pid| !support::exists(*pid)));
        drop(policy);
    });
}

#[test]
fn a_policy_without_a_system_works_and_ends_with_its_handle() {
    run_in(|| {
        let policy = Policy::start().unwrap();
        let exit = futures::executor::block_on(async {
            policy.spawn(Command::shell("exit 8")).await.unwrap().wait().await.unwrap()
        });
        assert_eq!(exit.status, ExitStatus::Code(8));
    });
}

#[test]
fn a_grace_without_end_waits_for_the_children_and_no_longer() {
    support::run(async || {
        let policy = Policy::start().unwrap();
        let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        support::within(policy.shutdown(std::time::Duration::MAX)).await;
        assert_eq!(child.try_wait().unwrap().unwrap().status.returncode(), -15);
    });
}
