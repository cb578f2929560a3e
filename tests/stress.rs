//! Thousands of short children: every byte and every exit accounted for, each exactly once.
//!
//! `ACTIX_PROCESS_STRESS` sets how many children (10,000 by default).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{collections::HashMap, io::IsTerminal};

use actix_process::{Command, Spawn, Subscribe};
use support::{recorder, run_with_policy};

const AT_A_TIME: usize = 64;

#[test]
fn every_byte_and_every_exit_exactly_once() {
    let children = support::stress();
    run_with_policy(async |policy| {
        let (recorder, record) = recorder::start();
        policy.subscribe(Subscribe::exits(recorder.clone().recipient())).await.unwrap();
        let (own, of_spawn) = recorder::start();
        let progress = std::io::stderr().is_terminal();
        let tasks = (0..AT_A_TIME).map(|worker| {
            let (policy, own) = (policy.clone(), own.clone());
            actix::spawn(async move {
                let mut expected = Vec::new();
                for number in (worker..children).step_by(AT_A_TIME) {
                    let (len, code) = (number * 37 % 5_000, number % 251);
                    let line = format!("head -c {len} /dev/zero; exit {code}");
                    let command = if number % 3 == 0 {
                        Command::shell(line)
                    } else {
                        Command::new("head").args(["-c", &len.to_string(), "/dev/zero"])
                    };
                    let code = if number % 3 == 0 { code } else { 0 };
                    let spawn = Spawn::new(command).notify(own.clone().recipient());
                    let child = policy.spawn(spawn).await.unwrap();
                    let output = child.output().await.unwrap();
                    assert_eq!((output.stdout.len(), output.missing), (len, 0));
                    assert!(output.stdout.iter().all(|byte| *byte == 0));
                    assert_eq!(output.exit.status.returncode(), code as i32);
                    expected.push(child.id());
                    if progress && number % 500 == 0 {
                        eprint!("\r{number} of {children} children");
                    }
                }
                expected
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut expected = Vec::new();
        for task in tasks {
            // The whole has no deadline of its own: each child's worker fails by itself.
            expected.extend(task.await.unwrap());
        }
        for record in [record, of_spawn] {
            let mut seen: HashMap<_, usize> = HashMap::new();
            for exit in record.until_exits(children).await {
                *seen.entry(exit.child).or_default() += 1;
            }
            assert_eq!(seen.len(), children);
            assert!(expected.iter().all(|child| seen[child] == 1));
        }
    });
}
