//! The driver: forced by the builder, forced by the environment, or the one that works.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{env, process::Command as StdCommand, time::Duration};

use actix_process::{Command, Driver, Policy, StartError};
use support::run;

const AGAIN: &str = "ACTIX_PROCESS_TEST_AGAIN";

/// Runs one test of this binary once more, with the variable set.
fn again(test: &str, driver: &str) -> bool {
    let mut command = StdCommand::new(env::current_exe().unwrap());
    command.args(["--exact", test]).env(AGAIN, "1").env("ACTIX_PROCESS_DRIVER", driver);
    command.output().unwrap().status.success()
}

#[test]
fn the_builder_has_the_first_word() {
    run(async || {
        let policy = Policy::builder().driver(Driver::Sweep).start().unwrap();
        assert_eq!(policy.driver(), Driver::Sweep);
        let child = policy.spawn(Command::shell("echo swept; exit 3")).await.unwrap();
        assert_eq!(child.output().await.unwrap().stdout, b"swept\n");
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn the_environment_forces_one() {
    if env::var_os(AGAIN).is_none() {
        support::run_in(|| assert!(again("the_environment_forces_one", "sweep")));
        return;
    }
    run(async || {
        let policy = Policy::start().unwrap();
        assert_eq!(policy.driver(), Driver::Sweep);
        policy.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_name_that_is_no_driver_is_refused() {
    if env::var_os(AGAIN).is_none() {
        support::run_in(|| assert!(again("a_name_that_is_no_driver_is_refused", "epoll")));
        return;
    }
    run(async || {
        let error = Policy::start().unwrap_err();
        assert!(matches!(&error, StartError::UnknownDriver(name) if name == "epoll"), "{error}");
        assert!(error.to_string().contains("expected `ring` or `sweep`"));
    });
}
