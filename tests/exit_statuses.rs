//! Every way to end is told as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use actix_process::{Command, ExitStatus, ProcessGroup, Signal};
use support::run_with_policy;

#[test]
fn codes_come_through() {
    run_with_policy(async |policy| {
        for code in [0, 1, 42, 255] {
            let child = policy.spawn(Command::shell(format!("exit {code}"))).await.unwrap();
            let exit = child.wait().await.unwrap();
            assert_eq!(exit.status, ExitStatus::Code(code));
            assert_eq!(exit.status.success(), code == 0);
            assert_eq!((exit.child, exit.pid), (child.id(), child.pid()));
        }
    });
}

#[test]
fn signals_come_through() {
    run_with_policy(async |policy| {
        // Not SIGHUP: under nohup children ignore it.
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGALRM, Signal::SIGUSR1] {
            let child = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
            child.signal(signal).await.unwrap();
            let exit = child.wait().await.unwrap();
            let signal = signal as i32;
            assert_eq!(exit.status, ExitStatus::Signaled { signal, core_dumped: false });
            assert_eq!(exit.status.returncode(), -signal);
        }
    });
}

#[test]
fn a_real_time_signal_has_no_name_and_comes_through() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("kill -40 $$")).await.unwrap();
        let status = child.wait().await.unwrap().status;
        assert_eq!(status, ExitStatus::Signaled { signal: 40, core_dumped: false });
        assert_eq!(status.to_string(), "signal 40");
    });
}

#[test]
fn a_child_that_is_stopped_has_not_ended() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::shell("kill -STOP $$; exit 7")).await.unwrap();
        let stat = format!("/proc/{}/stat", child.pid());
        support::until("the child is stopped", || {
            std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
        })
        .await;
        assert!(child.try_wait().is_none());
        child.signal(Signal::SIGCONT).await.unwrap();
        assert_eq!(child.wait().await.unwrap().status, ExitStatus::Code(7));
    });
}

#[test]
fn what_a_child_used_comes_with_its_exit() {
    run_with_policy(async |policy| {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let exit = policy.spawn(Command::shell(busy)).await.unwrap().wait().await.unwrap();
        assert!(exit.usage.cpu_time().as_micros() > 1000, "{:?}", exit.usage);
        assert!(exit.usage.peak_memory_kib > 100, "{:?}", exit.usage);
        assert!(exit.wall_time >= exit.usage.cpu_time() / 2, "{exit:?}");
    });
}

#[test]
fn signalling_a_child_that_has_ended_is_an_error_and_hits_nobody() {
    run_with_policy(async |policy| {
        let child = policy.spawn(Command::new("true")).await.unwrap();
        child.wait().await.unwrap();
        let error = child.kill().await.unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    });
}

#[test]
fn a_group_is_signalled_as_a_whole() {
    run_with_policy(async |policy| {
        let command =
            Command::shell("sleep 1000 & echo $!; exit 0").process_group(ProcessGroup::Own);
        let child = policy.spawn(command).await.unwrap();
        let output = child.output().await.unwrap();
        let grandchild: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        assert!(support::exists(grandchild));
        child.signal_group(Signal::SIGKILL).await.unwrap();
        support::until("the grandchild is gone", || {
            // Where nobody reaps orphans it stays as a zombie.
            std::fs::read_to_string(format!("/proc/{grandchild}/stat"))
                .map_or(true, |stat| stat.contains(") Z "))
        })
        .await;
        let alone = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let error = alone.signal_group(Signal::SIGTERM).await.unwrap_err();
        assert!(error.to_string().contains("leads no process group"), "{error}");
    });
}
