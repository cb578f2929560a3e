//! The tools under a shell with job control: `&`, Ctrl-Z, `fg`, and children that want the terminal;
//! and `restart` and `stop`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{fs, process::Stdio, time::Duration};

use std::io::{BufRead, BufReader, Write};

use actix_process::{Child, Command, LogReader, Policy, Start, Terminal};
use nix::sys::signal::Signal;
use support::tool::{Running, command, path};

/// A shell on a terminal of its own.
struct Shell {
    child: Child,
    log: LogReader,
    printed: String,
}

impl Shell {
    async fn type_line(&self, line: &str) {
        self.child.stdin().unwrap().write(format!("{line}\n")).unwrap();
    }

    fn press(&self, key: &'static str) {
        self.child.stdin().unwrap().write(key).unwrap();
    }

    /// Reads on until this text has come, and forgets what was before.
    async fn until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.printed.find(text) {
                self.printed.drain(..at + text.len());
                return;
            }
            let batch = tokio::time::timeout(Duration::from_secs(20), self.log.next()).await;
            let Ok(Some(batch)) = batch else { panic!("no `{text}` in {:?}", self.printed) };
            for entry in batch.entries().filter(|entry| entry.child == self.child.id()) {
                if let actix_process::Fact::Chunk(chunk) = &entry.fact {
                    self.printed.push_str(&String::from_utf8_lossy(&chunk.bytes));
                }
            }
        }
    }
}

fn in_shell(procfile: &str, test: impl AsyncFnOnce(&mut Shell)) {
    support::run(async || {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p"), procfile).unwrap();
        let policy = Policy::start().unwrap();
        let bash = Command::new("bash").args(["--norc", "--noprofile", "-i"]);
        let tools = path("procfile").parent().unwrap().display().to_string();
        let bash = bash
            .current_dir(directory.path())
            .env("PATH", format!("{tools}:/usr/bin:/bin"))
            .env("PS1", "ready> ")
            .env("TERM", "dumb")
            .terminal(Terminal::default().without_echo());
        let log = policy.log(Start::Beginning);
        let child = policy.spawn(bash).await.unwrap();
        let mut shell = Shell { child, log, printed: String::new() };
        shell.until("ready> ").await;
        test(&mut shell).await;
        shell.child.kill().await.unwrap();
        drop(shell);
        policy.shutdown(Duration::ZERO).await;
    });
}

const TICKING: &str = "web: while :; do echo tick; sleep 0.1; done\n";

#[test]
fn in_the_background_it_runs_on_and_reads_nothing() {
    in_shell(TICKING, async |shell| {
        shell.type_line("procfile p &").await;
        shell.until("| tick").await;
        shell.until("| tick").await;
        // What is typed is the shell's.
        shell.type_line("echo from$((40 + 2))shell").await;
        shell.until("from42shell").await;
        shell.until("| tick").await;
        shell.type_line("jobs; fg").await;
        shell.until("Running").await;
        shell.until("| tick").await;
        // A terminal keeps a part of it only.
        shell.type_line(&format!("stop web{}", " web".repeat(2000))).await;
        shell.until("the line is too long").await;
        shell.type_line("stop web").await;
        shell.until("= SIGTERM").await;
        shell.until("ready> ").await;
    });
}

#[test]
fn ctrl_z_stops_the_children_too_and_fg_continues_them() {
    in_shell(TICKING, async |shell| {
        let strayed = "merge 'timeout 1000 sh -c \"while :; do echo tick; sleep 0.1; done\"; true'";
        for tool in ["procfile p", "merge 'while :; do echo tick; sleep 0.1; done'", strayed] {
            shell.type_line(tool).await;
            shell.until("| tick").await;
            shell.press("\x1a");
            shell.until("Stopped").await;
            shell.until("ready> ").await;
            // Only what had been written before is still to come: the children stand still.
            shell.type_line("ps -o stat= -g $(jobs -p) | head -c 1; sleep 0.5; echo quiet").await;
            shell.until("quiet").await;
            shell.printed.clear();
            shell.type_line("sleep 0.5; echo over").await;
            shell.until("over").await;
            assert!(!shell.printed.contains("tick"), "{:?}", shell.printed);
            shell.type_line("fg").await;
            shell.until("| tick").await;
            shell.until("| tick").await;
            shell.press("\x03");
            shell.until("ready> ").await;
            shell.type_line("echo status $?").await;
            shell.until("status 130").await;
        }
    });
}

#[test]
fn a_child_that_wants_the_terminal_is_told_to_have_stopped() {
    in_shell("web: read line </dev/tty; echo got $line\n", async |shell| {
        for tool in ["procfile p", "merge 'read line </dev/tty; echo got it'"] {
            shell.type_line(tool).await;
            shell.until("stopped by SIGTTIN").await;
            shell.press("\x03");
            shell.until("ready> ").await;
        }
        // Its parent, which hears of it, is not the tool.
        shell.type_line("merge 'timeout 1000 cat /dev/tty; echo done'").await;
        shell.until("1:timeout = ").await;
        shell.until("has stopped; if it wants the terminal").await;
        shell.press("\x03");
        shell.until("ready> ").await;
    });
}

fn procfile(content: &str) -> (tempfile::TempDir, Running) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Procfile");
    fs::write(&path, content).unwrap();
    let mut tool = command("procfile", [&path]);
    tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (directory, Running::start(&mut tool))
}

fn ask(tool: &mut Running, request: &str) {
    tool.0.stdin.as_mut().unwrap().write_all(format!("{request}\n").as_bytes()).unwrap();
}

/// A server that takes a second to let go of its port, behind a shell that dies at once.
const SERVER: &str = r#"web: perl -MSocket -e '$| = 1; $SIG{TERM} = sub { select(undef, undef, undef, 1); exit }; socket(my $s, PF_INET, SOCK_STREAM, 0) or die; bind($s, sockaddr_in(PORT, INADDR_LOOPBACK)) or die "in use\n"; listen($s, 1); print "serving\n"; sleep 1 while 1'; true
other: exec sleep 1000
"#;

#[test]
fn a_restart_waits_until_the_old_group_is_empty() {
    support::run_in(|| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = SERVER.replace("PORT", &free.to_string());
        // In the child's group, and in one of its own.
        for server in [server.clone(), server.replace("perl", "timeout 1000 perl")] {
            restart_and_stop(&server);
        }
    });
}

fn restart_and_stop(server: &str) {
    let (_directory, mut tool) = procfile(server);
    tool.until_printed("| serving");
    for _ in 0..2 {
        ask(&mut tool, "restart web");
        let said = tool.until_printed("| serving");
        assert!(!said.contains("in use"), "{said}");
        assert!(said.contains("restart: ending it first"), "{said}");
        assert!(said.contains("TERM to its group"), "{said}");
    }
    // Asked for twice, and in the middle of it.
    ask(&mut tool, "restart web\nrestart web");
    let said = tool.until_printed("| serving");
    assert!(said.contains("it is being restarted already"), "{said}");
    ask(&mut tool, "restart web\nstop web");
    tool.until_printed("it is being ended, and is not started again");
    ask(&mut tool, "stop other");
    tool.ended_within(Duration::from_secs(10));
}

/// Its parent has ended before anyone could see whose it is.
#[test]
fn a_restart_waits_for_an_orphan_with_a_session_of_its_own() {
    support::run_in(|| {
        let orphan =
            "trap 'sleep 0.5; echo gone; exit' TERM; echo serving; while :; do sleep 0.1; done";
        let line = format!("web: setsid -f sh -c \"{orphan}\"\nother: exec sleep 1000\n");
        let (_directory, mut tool) = procfile(&line);
        let said = tool.until_printed("| serving");
        if !said.contains("= exit code 0") {
            tool.until_printed("= exit code 0");
        }
        ask(&mut tool, "restart web");
        let said = tool.until_printed("| serving");
        assert!(
            said.contains("ending what is left of it first") && said.contains("| gone"),
            "{said}"
        );
        tool.signal(Signal::SIGINT);
        tool.ended_within(Duration::from_secs(4));
    });
}

#[test]
fn one_that_ignores_term_is_killed_after_five_seconds() {
    support::run_in(|| {
        let line = "web: trap '' TERM; echo ready; while :; do sleep 0.2; done\n";
        let (_directory, mut tool) = procfile(line);
        tool.until_printed("| ready");
        let begin = std::time::Instant::now();
        ask(&mut tool, "stop web");
        let said = tool.until_printed("= SIGKILL");
        assert!(said.contains("KILL to its group"), "{said}");
        let status = tool.ended_within(Duration::from_secs(5));
        assert_eq!(status.code(), Some(137));
        assert!(begin.elapsed() >= Duration::from_secs(5));
    });
}

#[test]
fn a_process_that_left_its_group_is_ended_too() {
    support::run_in(|| {
        let line = "web: exec perl -e '$| = 1; setpgrp(0, getpgrp(getppid())) or die; print qq(left\\n); sleep 1 while 1'\n";
        let (_directory, mut tool) = procfile(line);
        tool.until_printed("| left");
        ask(&mut tool, "stop web");
        tool.until_printed("= SIGTERM");
        let status = tool.ended_within(Duration::from_secs(4));
        assert_eq!(status.code(), Some(143));
    });
}

#[test]
fn what_cannot_be_understood_is_told_once_with_the_names() {
    support::run_in(|| {
        let (_directory, mut tool) =
            procfile("web: echo ready; exec sleep 1000\njob: exec sleep 1000\n");
        // No part of it is done.
        let long = format!("stop web {}", "job ".repeat(5000));
        tool.until_printed("| ready");
        ask(&mut tool, &format!("{long}\nrestart\nstop none\nstopp\r\nstop web job\r"));
        let mut said = String::new();
        tool.ended_within(Duration::from_secs(10));
        std::io::Read::read_to_string(tool.0.stderr.as_mut().unwrap(), &mut said).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 4, "{said}");
        assert!(lines[0].contains("the line is too long"), "{said}");
        assert!(lines[1..].iter().all(|line| line.ends_with("the names are: web, job")), "{said}");
        assert!(lines[3].contains("unknown command `stopp`"), "{said}");
    });
}

#[test]
fn what_is_asked_for_during_the_end_is_refused() {
    support::run_in(|| {
        let line = "web: trap '' TERM; echo ready; while :; do sleep 0.2; done\n";
        let (_directory, mut tool) = procfile(line);
        tool.until_printed("| ready");
        tool.signal(Signal::SIGTERM);
        let mut said = BufReader::new(tool.0.stderr.take().unwrap()).lines();
        assert!(said.next().unwrap().unwrap().contains("ending every child"));
        ask(&mut tool, "restart web");
        assert!(said.next().unwrap().unwrap().contains("ending every process already"));
        tool.signal(Signal::SIGTERM);
        tool.ended_within(Duration::from_secs(4));
        let printed = std::io::read_to_string(tool.0.stdout.take().unwrap()).unwrap();
        assert!(!printed.contains("TERM to its group"), "{printed}");
    });
}

/// It writes to the terminal all the time, which would stop it again and again.
#[test]
fn one_in_the_background_that_may_not_write_there_is_ended_by_a_signal() {
    in_shell(TICKING, async |shell| {
        shell.type_line("stty tostop").await;
        for tool in ["procfile p", "merge 'while :; do echo tick; sleep 0.1; done'"] {
            shell.type_line(&format!("{tool} &")).await;
            shell.until("| tick").await;
            shell.type_line("kill %%; SECONDS=0; wait %%; echo status $? $((SECONDS <= 6))").await;
            shell.until("status 143 1").await;
            shell.until("ready> ").await;
        }
    });
}
