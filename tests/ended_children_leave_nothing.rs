//! Promise 5 while the policy goes on: an ended child keeps no descriptor. And who tells its end.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use actix_process::{Command, Fault, PolicyHandle, ProcessGroup, inject};
use support::{open_descriptors, open_descriptors_at_rest, run_with_policy, until, within};

async fn leave_nothing(policy: &PolicyHandle, command: impl Fn() -> Command) {
    within(policy.spawn(command()).await.unwrap().wait()).await.unwrap();
    let before = open_descriptors_at_rest().await;
    // Fewer than make the ring close them at once, and more.
    for children in [20, 300] {
        for _ in 0..children {
            within(policy.spawn(command()).await.unwrap().wait()).await.unwrap();
        }
        until("they are let go of", || open_descriptors() == before).await;
    }
    // Nothing is left that it would have to wait for.
    within(policy.shutdown(support::DEADLINE)).await;
}

#[test]
fn that_end_at_once() {
    run_with_policy(async |policy| leave_nothing(policy, || Command::new("true")).await);
}

#[test]
fn that_lead_a_group_and_end_at_once() {
    let leader = || Command::new("true").process_group(ProcessGroup::Own);
    run_with_policy(async |policy| leave_nothing(policy, leader).await);
}

/// The read loop tells the end of a child that ends alone, though its waiter is stuck; not of each,
/// since it does not wait for one that takes long to die.
#[test]
fn a_stuck_waiter_delays_no_exit_that_the_read_loop_sees_coming() {
    run_with_policy(async |policy| {
        let mut told = false;
        for _ in 0..200 {
            inject(Fault::WaiterStalled, usize::MAX);
            let child = policy.spawn(Command::shell("exit 7")).await.unwrap();
            told |= tokio::time::timeout(Duration::from_millis(100), child.wait()).await.is_ok();
            inject(Fault::WaiterStalled, 0);
            let exit = within(child.wait()).await.unwrap();
            assert_eq!(exit.status.returncode(), 7);
            if told {
                break;
            }
        }
        assert!(told, "no exit was told while the waiter was stuck");
    });
}
