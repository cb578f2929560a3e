//! Children on terminals of their own: what a program sees, what it writes until it ends, what is
//! typed, and a terminal that is resized or hung up.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use actix_process::{
    Child, Command, Entry, Fact, Pipeline, PolicyHandle, Signal, Source, SpawnStep, Start,
    Terminal,
    error::{StdinError, TerminalError},
};
use support::{run_with_policy, within};

async fn on_terminal(policy: &PolicyHandle, line: &str) -> Child {
    policy.spawn(Command::shell(line).terminal(Terminal::default())).await.unwrap()
}

async fn text_of(child: &Child) -> String {
    let output = within(child.output()).await.unwrap();
    assert_eq!(output.missing, 0);
    String::from_utf8(output.stdout.to_vec()).unwrap()
}

/// Waits until nobody has the child's terminal open.
async fn closed(policy: &PolicyHandle, child: &Child) {
    let mut log = policy.log(Start::Beginning);
    let is_its = |entry: &Entry| entry.child == child.id() && matches!(entry.fact, Fact::Closed);
    while !log.next().await.unwrap().entries().any(is_its) {}
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_program_sees_a_controlling_terminal_of_its_size() {
    run_with_policy(async |policy| {
        let line = "test -t 0 && test -t 1 && test -t 2 && echo all; stty size; echo it >/dev/tty";
        let small = Terminal::default().size(10, 33);
        let child = policy.spawn(Command::shell(line).terminal(small)).await.unwrap();
        assert_eq!(text_of(&child).await, "all\r\n10 33\r\nit\r\n");
        let child = on_terminal(policy, "stty size").await;
        assert_eq!(text_of(&child).await, "24 80\r\n");
        // It leads a session and a group of its own.
        let child = on_terminal(policy, "read x; cut -d' ' -f5,6 /proc/$$/stat").await;
        child.stdin().unwrap().write("\n").unwrap();
        let pid = child.pid();
        assert_eq!(text_of(&child).await, format!("\r\n{pid} {pid}\r\n"));
    });
}

#[test]
fn what_is_typed_is_echoed_or_not_and_ctrl_d_ends_it() {
    run_with_policy(async |policy| {
        for (terminal, seen) in [(Terminal::default(), 2), (Terminal::default().without_echo(), 1)]
        {
            let child = policy.spawn(Command::new("cat").terminal(terminal)).await.unwrap();
            let keyboard = child.stdin().unwrap();
            keyboard.write("one\n").unwrap();
            child.wait_for_line("^one", SOON).await.unwrap();
            keyboard.write("two").unwrap();
            keyboard.write_eof().unwrap();
            assert!(matches!(keyboard.write("three"), Err(StdinError::Ended)));
            let exit = within(child.wait()).await.unwrap();
            assert!(exit.status.success());
            let mut log = policy.log(Start::Beginning);
            let mut text = String::new();
            while let Some(batch) = log.try_next() {
                for entry in batch.entries().filter(|entry| entry.child == child.id()) {
                    if let Fact::Chunk(chunk) = &entry.fact {
                        assert_eq!(chunk.stream, Source::Stdout);
                        text.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
                    }
                }
            }
            // The echo and what cat writes come as they come.
            let times = |what: &str| text.matches(what).count();
            assert_eq!((times("one\r\n"), times("two")), (seen, seen), "{text:?}");
        }
    });
}

#[test]
fn an_exit_follows_all_that_the_terminal_held() {
    run_with_policy(async |policy| {
        for round in 0..30 {
            let len = 1 + round * 4_001;
            let line = format!("head -c {len} /dev/zero | tr '\\0' x; exit 3");
            let child = on_terminal(policy, &line).await;
            let output = within(child.output()).await.unwrap();
            assert_eq!(output.exit.status.returncode(), 3);
            assert_eq!((output.stdout.len(), output.exit.output_bytes), (len, len as u64));
            assert!(output.stdout.iter().all(|byte| *byte == b'x'));
        }
    });
}

#[test]
fn what_a_paused_terminal_holds_at_the_exit_comes_before_it() {
    run_with_policy(async |policy| {
        for round in 0..10 {
            let child = on_terminal(policy, "read line; printf '%3000s' x; exit 4").await;
            child.pause(Source::Stdout);
            child.stdin().unwrap().write("go on\n").unwrap();
            let exit = within(child.wait()).await.unwrap();
            // The echo of what was typed, and all that it wrote.
            assert_eq!((exit.status.returncode(), exit.output_bytes), (4, 3007), "{round}");
        }
    });
}

#[test]
fn a_child_that_lets_go_of_its_terminal_can_take_it_again() {
    run_with_policy(async |policy| {
        let line = "echo before; exec </dev/null >/dev/null 2>&1; sleep 0.1; echo after >/dev/tty; \
                    head -c 100000 /dev/zero >/dev/tty; exit 7";
        let output = within(on_terminal(policy, line).await.output()).await.unwrap();
        assert_eq!(output.exit.status.returncode(), 7);
        assert!(output.stdout.starts_with(b"before\r\nafter\r\n"));
        assert_eq!(output.stdout.len(), 100_000 + 15);
        // And it can be hung up meanwhile.
        let line = "echo ready; exec </dev/null >/dev/null 2>&1; sleep 1000";
        let child = on_terminal(policy, line).await;
        child.wait_for_line("ready", SOON).await.unwrap();
        child.hang_up().await.unwrap();
        let exit = within(child.wait()).await.unwrap();
        assert_eq!(exit.status.returncode(), -(Signal::SIGHUP as i32));
    });
}

#[test]
fn what_nobody_reads_from_a_terminal_costs_no_cpu() {
    run_with_policy(async |policy| {
        let line = "stty raw -echo; echo ready; exec sleep 1000 </dev/null >/dev/null 2>&1";
        let child = on_terminal(policy, line).await;
        child.wait_for_line("ready", SOON).await.unwrap();
        child.stdin().unwrap().write(vec![b'x'; 1_000_000]).unwrap();
        let cpu = || {
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
            let usage = usage.unwrap();
            let time = usage.user_time() + usage.system_time();
            Duration::from_micros(nix::sys::time::TimeValLike::num_microseconds(&time) as u64)
        };
        let before = cpu();
        assert!(tokio::time::timeout(Duration::from_secs(1), child.wait()).await.is_err());
        let used = cpu() - before;
        assert!(used < Duration::from_millis(300), "{used:?} in a second");
    });
}

#[test]
fn an_exit_does_not_wait_for_who_is_left_on_the_terminal() {
    run_with_policy(async |policy| {
        let child = on_terminal(policy, "trap '' HUP; sleep 1000 & echo away").await;
        let exit = within(child.wait()).await.unwrap();
        assert_eq!((exit.status.success(), exit.output_bytes), (true, 6));
        // What ignores the hang-up ends with the shutdown, as a member of the child's group.
    });
}

#[test]
fn a_new_size_is_signalled() {
    run_with_policy(async |policy| {
        let line = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.01; done";
        let child = on_terminal(policy, line).await;
        child.wait_for_line("ready", SOON).await.unwrap();
        child.resize(50, 132).await.unwrap();
        child.wait_for_line("50 132", SOON).await.unwrap();
        assert_eq!(within(child.wait()).await.unwrap().status.returncode(), 5);
        // Where the terminal is closed there is nothing to resize.
        within(closed(policy, &child)).await;
        let refused = child.resize(1, 1).await;
        assert!(matches!(refused, Err(TerminalError::Closed(id)) if id == child.id()));
        let piped = policy.spawn(Command::new("sleep").arg("1000")).await.unwrap();
        let refused = piped.resize(1, 1).await;
        assert!(matches!(refused, Err(TerminalError::None(id)) if id == piped.id()));
    });
}

#[test]
fn a_terminal_that_is_hung_up_ends_its_session() {
    run_with_policy(async |policy| {
        let child = on_terminal(policy, "echo ready; cat").await;
        child.wait_for_line("ready", SOON).await.unwrap();
        child.hang_up().await.unwrap();
        let exit = within(child.wait()).await.unwrap();
        assert_eq!(exit.status.returncode(), -(Signal::SIGHUP as i32));
        assert_eq!(exit.output_bytes, 7);
        assert!(child.stdin().unwrap().write("x").is_err());
        assert!(matches!(child.hang_up().await, Err(TerminalError::Closed(_))));
    });
}

#[test]
fn a_hundred_thousand_bytes_are_typed_at_the_pace_of_the_child() {
    run_with_policy(async |policy| {
        let line = "stty raw -echo; echo ready; head -c 100000 | cksum; stty sane";
        let child = on_terminal(policy, line).await;
        child.wait_for_line("ready", SOON).await.unwrap();
        let typed: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = {
            let command =
                Command::new("cksum").stdin(actix_process::Stdin::Bytes(typed.clone().into()));
            text_of(&policy.spawn(command).await.unwrap()).await
        };
        let keyboard = child.stdin().unwrap();
        for part in typed.chunks(7_000) {
            within(keyboard.ready()).await.unwrap();
            keyboard.write(part.to_vec()).unwrap();
        }
        within(keyboard.flush()).await.unwrap();
        child.wait_for_line(expected.trim_end(), SOON).await.unwrap();
        assert!(within(child.wait()).await.unwrap().status.success());
    });
}

#[test]
fn who_types_to_a_child_that_never_reads_waits_and_is_told_of_its_end() {
    run_with_policy(async |policy| {
        let child = on_terminal(policy, "stty raw -echo; echo ready; exec sleep 1000").await;
        child.wait_for_line("ready", SOON).await.unwrap();
        let keyboard = child.stdin().unwrap();
        keyboard.write(vec![b'x'; 1_000_000]).unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(100), keyboard.flush()).await;
        assert!(waited.is_err(), "nobody has read it");
        // The loop is free for the others meanwhile.
        within(policy.spawn(Command::new("true")).await.unwrap().wait()).await.unwrap();
        child.kill().await.unwrap();
        assert!(matches!(within(keyboard.flush()).await, Err(StdinError::Unread(_))));
        within(child.wait()).await.unwrap();
    });
}

#[test]
fn a_spawn_that_fails_leaves_no_terminal() {
    run_with_policy(async |policy| {
        let before = support::open_descriptors();
        for _ in 0..20 {
            let unknown = Command::new("/no/such/program").terminal(Terminal::default());
            assert_eq!(policy.spawn(unknown).await.unwrap_err().step, SpawnStep::Execute);
        }
        let group = actix_process::ProcessGroup::Join(1);
        let refused = Command::new("true").terminal(Terminal::default()).process_group(group);
        assert_eq!(policy.spawn(refused).await.unwrap_err().step, SpawnStep::CheckCommand);
        let piped: Pipeline =
            Command::new("true").pipe_to(Command::new("cat").terminal(Terminal::default()));
        let refused = policy.spawn_pipeline(piped).await;
        assert_eq!(refused.unwrap_err().step, SpawnStep::CheckCommand);
        assert_eq!(support::open_descriptors(), before);
    });
}
