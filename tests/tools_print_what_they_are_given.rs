//! The tools' output and input: errors of writing, lines, attributes, bytes that are not UTF-8.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
    process::{Command, Stdio},
    time::Duration,
};

use actix_process::{Policy, Start, Terminal};
use support::tool::{Running, command, mark, output, path, runs, text};

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

fn procfile(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Procfile");
    fs::write(&path, content).unwrap();
    (directory, path)
}

#[test]
fn a_full_device_is_one_line_and_status_1() {
    support::run_in(|| {
        let (_directory, file) = procfile(b"web: seq 100000\n");
        let file = file.to_str().unwrap();
        for (name, argument) in [
            ("merge", "--help"),
            ("merge", "seq 100000"),
            ("procfile", "--help"),
            ("procfile", file),
        ] {
            let output = output(command(name, [argument]).stdout(full()));
            assert_eq!(output.status.code(), Some(1), "{name} {argument}");
            let lines = text(&output.stderr).lines().filter(|it| it.contains("No space")).count();
            assert_eq!((lines, text(&output.stderr).lines().count()), (1, 1), "{output:?}");
            // Neither stream takes anything.
            let status = command(name, [argument]).stdout(full()).stderr(full()).status().unwrap();
            assert_eq!(status.code(), Some(1), "{name} {argument}");
        }
    });
}

/// A limit of a file's size, of which a signal tells, too.
#[test]
fn a_file_that_is_too_large_is_one_line_and_status_1_and_the_end_of_the_children() {
    support::run_in(|| {
        let mark = mark("too-large");
        let directory = tempfile::tempdir().unwrap();
        let mut shell = Command::new("/bin/bash");
        shell.args(["-c", "ulimit -f 1; exec \"$0\" \"$1\" >\"$2\""]).arg(path("merge"));
        shell.arg(format!("yes | head -n 2000; sleep 1000; : {mark}"));
        let output = output(shell.arg(directory.path().join("file")).stdin(Stdio::null()));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("File too large") && said.lines().count() == 1, "{said}");
        assert!(!runs(&mark));
    });
}

#[test]
fn too_few_descriptors_are_one_line() {
    support::run_in(|| {
        for limit in [6, 8, 12, 18, 22, 28, 34] {
            let mut shell = Command::new("/bin/bash");
            shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" true")]);
            let output = output(shell.arg(path("merge")).stdin(Stdio::null()));
            let said = text(&output.stderr);
            let is_told = said.lines().count() == 1 && said.contains("Too many open files");
            assert!(output.status.success() || is_told, "{limit}: {said}");
        }
    });
}

#[test]
fn closed_streams_are_no_panic() {
    support::run_in(|| {
        let (_directory, file) = procfile(b"web: echo hello\n");
        for (name, argument) in
            [("merge", OsStr::new("echo hello")), ("procfile", file.as_os_str())]
        {
            for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("exec \"$0\" \"$1\" {closed}")]).arg(path(name));
                let output = output(shell.arg(argument).stdin(Stdio::null()));
                assert!(
                    output.status.code().is_some_and(|code| code < 100),
                    "{closed}: {output:?}"
                );
                assert!(!text(&output.stderr).contains("panicked"), "{closed}: {output:?}");
            }
        }
    });
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    support::run_in(|| {
        let (_directory, file) = procfile(b"web: yes\n");
        for (name, argument) in [("merge", "yes"), ("procfile", file.to_str().unwrap())] {
            let mut tool = command(name, [argument]);
            let mut tool = Running::start(tool.stdout(Stdio::piped()).stderr(Stdio::piped()));
            tool.until_printed("| y");
            drop(tool.0.stdout.take());
            let status = tool.ended_within(Duration::from_secs(6));
            let mut said = String::new();
            tool.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!((status.code(), status.signal(), &*said), (Some(141), None, ""));
        }
    });
}

/// The pipe does not block, and its reader is late: no line is lost.
#[test]
fn a_pipe_that_does_not_block_is_waited_for() {
    support::run_in(|| {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let line = "yes 0123456789012345678901234567890123456789 | head -n 3001";
        let mut command = command("merge", ["echo one", line]);
        let mut tool = Running::start(command.stdout(writer));
        // It has an end of the pipe.
        drop(command);
        // The pipe is full when nothing more is written to it.
        support::tool::until("the pipe is full", || readable(reader.as_fd()) > 30_000);
        let mut flags = nix::fcntl::OFlag::from_bits_retain(
            nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_GETFL).unwrap(),
        );
        flags.remove(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
        let said = std::io::read_to_string(File::from(reader)).unwrap();
        assert!(tool.ended_within(Duration::from_secs(10)).success());
        let lines = said.lines().filter(|line| line.contains(" | ")).count();
        assert_eq!(lines, 3002, "{}", said.lines().last().unwrap());
    });
}

fn readable(fd: std::os::fd::BorrowedFd<'_>) -> u64 {
    let mut count = 0_i32;
    // SAFETY: asks how many bytes an open pipe holds, into memory of its type.
    unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&fd), libc::FIONREAD, &mut count) };
    count as u64
}

#[test]
fn bytes_that_are_not_utf8_pass_or_are_told() {
    support::run_in(|| {
        // A byte order mark, comments and commands of another encoding, line ends of another system.
        let content = b"\xef\xbb\xbf# \xe9t\xe9\r\nweb: printf 'caf\xe9\\n'\r\n";
        let (directory, file) = procfile(content);
        let ran = output(&mut command("procfile", [&file]));
        assert!(ran.status.success(), "{ran:?}");
        assert!(ran.stdout.windows(6).any(|it| it == b"| caf\xe9"), "{ran:?}");
        let odd = directory.path().join(OsStr::from_bytes(b"\xff"));
        fs::copy(&file, &odd).unwrap();
        assert!(output(&mut command("procfile", [&odd])).status.success());
        let none = directory.path().join(OsStr::from_bytes(b"none\xff"));
        let missing = output(&mut command("procfile", [&none]));
        assert_eq!(missing.status.code(), Some(2));
        assert!(text(&missing.stderr).contains("cannot read"), "{missing:?}");
        let ran = output(&mut command("merge", [OsStr::from_bytes(b"printf 'caf\xe9\\n'")]));
        assert!(ran.stdout.windows(6).any(|it| it == b"| caf\xe9"), "{ran:?}");
        for option in [&b"--\xff"[..], b"-\xff"] {
            let refused = output(&mut command("merge", [OsStr::from_bytes(option)]));
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        }
        // Typed.
        let (_directory, file) = procfile(b"web: exec sleep 1000\n");
        let mut tool = command("procfile", [&file]);
        tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tool = Running::start(&mut tool);
        tool.until_printed("started");
        let typed = b"\xff\xfe\nrestart \xe9\nnonsense\nstop nothing\nstop web\n";
        tool.0.stdin.as_mut().unwrap().write_all(typed).unwrap();
        tool.ended_within(Duration::from_secs(10));
        let mut said = Vec::new();
        tool.0.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        let said = text(&said);
        assert!(said.contains("unknown command `nonsense`"), "{said}");
        assert!(said.contains("there is no process `nothing`; the names are: web"), "{said}");
    });
}

/// Terminals break a string off at the next escape; to look for its end must not take long either.
#[test]
fn strings_that_do_not_end_hide_nothing_and_take_no_time() {
    support::run_in(|| {
        let line = r"printf '\033]0;t\033[31mSHOWN\033[0m and more\007end\n\033]0;title\033\\after\n\033P1\030broken off\n'";
        let printed = text(&output(&mut command("merge", [line])).stdout);
        for text in ["| ^[]0;tSHOWN and more^Gend\n", "| after\n", "| ^[P1^Xbroken off\n"] {
            assert!(printed.contains(text), "{text:?} in {printed:?}");
        }
        let line = r#"perl -e 'print "\e]\eP\eX\e^\e_" x 100_000, "\n"'"#;
        let begin = std::time::Instant::now();
        let printed = output(&mut command("merge", [line])).stdout;
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        assert_eq!(text(&printed).matches("^[").count(), 500_000);
    });
}

/// What is to come is sent only when the last part was seen.
#[test]
fn a_progress_is_shown_at_each_carriage_return() {
    support::run_in(|| {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("go");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let line = format!(
            r"exec <{}; for i in 1 2; do printf $i%%\\r; read go; done; printf 'a\r\n\nb\r\rc\n\r\nd\r'; printf '\ne\n'",
            fifo.display()
        );
        let mut command = command("merge", [line]);
        let mut tool = Running::start(command.stdout(Stdio::piped()));
        let mut go = File::options().write(true).open(&fifo).unwrap();
        for part in ["| 1%\n", "| 2%\n"] {
            tool.until_printed(part);
            go.write_all(b"go\n").unwrap();
        }
        let printed = tool.until_printed("=");
        let lines: Vec<_> = printed.lines().filter_map(|it| it.split_once(" | ")).collect();
        let lines: Vec<_> = lines.into_iter().map(|(_, text)| text).collect();
        assert_eq!(lines, ["a", "", "b", "c", "", "d", "e"], "{printed}");
        tool.ended_within(Duration::from_secs(6));
    });
}

#[test]
fn a_command_or_a_file_that_begins_with_a_dash_is_none_of_our_options() {
    support::run_in(|| {
        let said = |output: &std::process::Output| text(&output.stdout);
        let ran = output(&mut command("merge", ["--", "-x; echo dash"]));
        assert!(said(&ran).contains("| dash"), "{ran:?}");
        let (directory, file) = procfile(b"a: -echo a || echo dash\n");
        fs::rename(&file, directory.path().join("-p")).unwrap();
        let ran = output(command("procfile", ["--", "-p"]).current_dir(&directory));
        assert!(said(&ran).contains("| dash"), "{ran:?}");
        let help = output(&mut command("procfile", ["-h", "x"]));
        assert!(help.status.success() && said(&help).contains("usage:"), "{help:?}");
        let (_directory, file) = procfile(b"a b: true\n");
        let refused = output(&mut command("procfile", [&file]));
        let told = text(&refused.stderr);
        assert!(told.contains("line 1: the name `a b` may have letters, digits"), "{told}");
    });
}

/// What a tool prints on a terminal of this size, with these variables.
fn on_terminal(line: &str, variables: &[(&str, &str)]) -> String {
    let mut printed = Vec::new();
    support::run(async || {
        let policy = Policy::start().unwrap();
        let mut command = actix_process::Command::new(path("merge")).arg(line);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command = command.env_remove(name);
        }
        command = command.env("TERM", "xterm");
        for (name, value) in variables {
            command = command.env(name, value);
        }
        let command = command.terminal(Terminal::default().without_echo());
        let mut log = policy.log(Start::Beginning);
        policy.spawn(command).await.unwrap();
        loop {
            let batch = support::within(log.next()).await.unwrap();
            for entry in batch.entries() {
                match &entry.fact {
                    actix_process::Fact::Chunk(chunk) => printed.extend_from_slice(&chunk.bytes),
                    actix_process::Fact::Exited(_) => {
                        drop(log);
                        return policy.shutdown(Duration::ZERO).await;
                    }
                    _ => {}
                }
            }
        }
    });
    String::from_utf8_lossy(&printed).into_owned()
}

#[test]
fn attributes_of_one_child_do_not_colour_the_next_line() {
    let printed = on_terminal(r"printf '\033[1;41mred\nnext\n'", &[]);
    for line in printed.lines().filter(|line| line.contains(" |")) {
        assert!(line.starts_with("\x1b[0;"), "{line:?}");
        let text = line.trim_end_matches('\r');
        assert!(!text.contains("\x1b[1;41m") || text.ends_with("\x1b[0m"), "{line:?}");
    }
    assert!(printed.contains("\x1b[1;41mred"), "{printed:?}");
}

#[test]
fn nothing_that_a_child_writes_moves_the_cursor() {
    let line =
        r"printf 'long text\rX\033[2K\033[1A\033]0;title\007\bend\n'; printf '10%%\r20%%\r30%%\n'";
    let printed = on_terminal(line, &[]);
    for control in ["\x1b[2K", "\x1b[1A", "\x1b]0", "\x08", "\x07"] {
        assert!(!printed.contains(control), "{control:?} in {printed:?}");
    }
    for line in printed.lines().map(|line| line.trim_end_matches('\r')) {
        assert!(!line.contains('\r'), "{line:?}");
    }
    assert_eq!(printed.matches('%').count(), 3, "{printed:?}");
    assert!(["10%", "20%", "30%"].iter().all(|it| printed.contains(it)), "{printed:?}");
}

#[test]
fn colour_follows_the_conventions() {
    let coloured = |variables: &[(&str, &str)]| on_terminal("echo x", variables).contains('\x1b');
    assert!(coloured(&[]));
    assert!(!coloured(&[("TERM", "dumb")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(coloured(&[("NO_COLOR", "")]));
    assert!(!coloured(&[("CLICOLOR", "0")]));
    assert!(coloured(&[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
    support::run_in(|| {
        let piped = |name: &str, value: &str| {
            let output = output(command("merge", ["echo x"]).env(name, value));
            output.stdout.contains(&0x1b)
        };
        assert!(piped("CLICOLOR_FORCE", "1"));
        assert!(!piped("CLICOLOR_FORCE", "0"));
        assert!(!piped("CLICOLOR_FORCE", ""));
    });
}

#[test]
fn columns_are_counted_as_they_are_shown_and_cuts_fall_between_characters() {
    support::run_in(|| {
        // Two columns for each of these characters.
        let content = "日本: echo a\nweb: echo b\n";
        let (_directory, file) = procfile(content.as_bytes());
        let printed = text(&output(&mut command("procfile", [&file])).stdout);
        assert!(printed.contains("日本 | a") && printed.contains("web  | b"), "{printed}");
        // A first word that is too long is cut by its width, and marked.
        let word = "日".repeat(20);
        let printed = text(&output(&mut command("merge", [format!("{word}; true")])).stdout);
        assert!(printed.contains("…"), "{printed}");
        // Of two columns only together with what follows it.
        let word = "☺\u{fe0f}".repeat(7);
        let printed = text(&output(&mut command("merge", [format!("{word}; true")])).stdout);
        assert!(printed.contains(&format!("1:{}… = ", "☺\u{fe0f}".repeat(5))), "{printed}");
        // A line of 1 MiB and more, of characters of three bytes.
        let line = "head -c 3000000 /dev/zero | sed 's/\\x00\\x00\\x00/日/g'";
        let printed = output(&mut command("merge", [line])).stdout;
        let printed = String::from_utf8(printed).expect("no character is cut");
        let parts: Vec<_> = printed.lines().filter(|line| line.contains(" | ")).collect();
        assert!(parts.len() > 1);
        assert!(parts[..parts.len() - 1].iter().all(|part| part.ends_with('…')));
        assert_eq!(printed.matches('日').count(), 1_000_000);
    });
}
