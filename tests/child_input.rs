//! Standard input as a pipe: nothing is lost, nobody hangs, a gone reader is an error. And as a
//! file, whose copies share one position.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    io::{self, Seek, Write},
    os::fd::AsRawFd,
    time::Duration,
};

use actix_process::{
    Command, ExitStatus, Fact, Source, SpawnStep, Start, Stdin, error::StdinError,
};
use bytes::Bytes;
use futures::StreamExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{run_with_both_launches, run_with_policy, until, within};

const MIB: usize = 1024 * 1024;

fn fed(command: Command) -> Command {
    command.stdin(Stdin::Piped)
}

fn is_closed(entry: &actix_process::Entry) -> bool {
    matches!(entry.fact, Fact::Closed)
}

#[test]
fn a_hundred_megabytes_through_cat_in_both_directions_at_once() {
    run_with_policy(async |policy| {
        let mut log = policy.log(Start::Now);
        let child = policy.spawn(fed(Command::new("cat"))).await.unwrap();
        let stdin = child.stdin().unwrap();
        let writer = actix::spawn(async move {
            for number in 0..100_u8 {
                stdin.ready().await.unwrap();
                stdin.write(vec![number; MIB]).unwrap();
            }
            stdin.write_eof().unwrap();
            assert!(matches!(stdin.write("more"), Err(StdinError::Ended)));
            assert!(matches!(stdin.write_eof(), Err(StdinError::Ended)));
        });
        let mut read = 0;
        'reading: while let Some(batch) = within(log.next()).await {
            assert!(batch.gap().is_none());
            for entry in batch.entries() {
                match &entry.fact {
                    Fact::Chunk(chunk) => {
                        for byte in chunk.bytes.iter() {
                            assert_eq!(usize::from(*byte), read / MIB);
                            read += 1;
                        }
                    }
                    Fact::Exited(exit) => assert!(exit.status.success()),
                    Fact::Closed => break 'reading,
                    _ => {}
                }
            }
        }
        assert_eq!(read, 100 * MIB);
        writer.await.unwrap();
    });
}

#[test]
fn a_child_that_never_reads_and_exits_is_an_error_to_its_writer() {
    run_with_policy(async |policy| {
        let child = policy.spawn(fed(Command::shell("exit 3"))).await.unwrap();
        let stdin = child.stdin().unwrap();
        let mut refused = stdin.write(vec![0; 4 * MIB]);
        if refused.is_ok() {
            refused = within(stdin.flush()).await;
        }
        assert!(matches!(refused, Err(StdinError::Unread(_))), "{refused:?}");
        assert!(matches!(stdin.write("more"), Err(StdinError::Unread(_))));
        assert_eq!(within(child.wait()).await.unwrap().status, ExitStatus::Code(3));
    });
}

#[test]
fn a_child_that_ends_once_it_has_read_everything_is_no_error_to_its_writer() {
    run_with_policy(async |policy| {
        for _ in 0..20 {
            let child = policy.spawn(fed(Command::shell("head -c 300000 | wc -c"))).await.unwrap();
            let stdin = child.stdin().unwrap();
            let parts = futures::stream::repeat(Bytes::from(vec![b'x'; 20_000])).take(15);
            within(stdin.write_stream(parts)).await.unwrap();
            assert_eq!(within(child.output()).await.unwrap().stdout.trim_ascii(), b"300000");
            until("the input is closed", || stdin.write("").is_err()).await;
            within(stdin.flush()).await.unwrap();
            assert!(matches!(within(stdin.ready()).await, Err(StdinError::Unread(_))));
        }
    });
}

#[test]
fn a_writer_that_waits_is_told_when_the_child_is_killed() {
    run_with_policy(async |policy| {
        let child = policy.spawn(fed(Command::new("sleep").arg("1000"))).await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.write(vec![0; 4 * MIB]).unwrap();
        let waiting = actix::spawn({
            let stdin = stdin.clone();
            async move { stdin.ready().await }
        });
        // It waits for sure: the pipe is full, and the child has not read.
        assert!(tokio::time::timeout(Duration::from_millis(50), stdin.flush()).await.is_err());
        child.kill().await.unwrap();
        assert!(matches!(within(waiting).await.unwrap(), Err(StdinError::Unread(_))));
        within(child.wait()).await.unwrap();
    });
}

#[test]
fn a_child_that_does_not_read_delays_nobody_else() {
    run_with_policy(async |policy| {
        let stuck = policy.spawn(fed(Command::new("sleep").arg("1000"))).await.unwrap();
        stuck.stdin().unwrap().write(vec![0; 4 * MIB]).unwrap();
        for _ in 0..20 {
            let child = policy.spawn(fed(Command::new("cat"))).await.unwrap();
            let stdin = child.stdin().unwrap();
            stdin.write("through").unwrap();
            stdin.write_eof().unwrap();
            assert_eq!(within(child.output()).await.unwrap().stdout, b"through");
        }
        stuck.kill().await.unwrap();
    });
}

#[test]
fn an_abort_ends_the_input_and_forgets_the_rest() {
    run_with_policy(async |policy| {
        let line = "head -c 10; sleep 0.2; cat | wc -c";
        let child = policy.spawn(fed(Command::shell(line))).await.unwrap();
        let stdin = child.stdin().unwrap();
        stdin.write("0123456789").unwrap();
        within(stdin.flush()).await.unwrap();
        stdin.write(vec![b'x'; 4 * MIB]).unwrap();
        stdin.abort();
        assert!(matches!(within(stdin.flush()).await, Err(StdinError::Ended)));
        assert!(matches!(stdin.write("more"), Err(StdinError::Ended)));
        let output = within(child.output()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rest: usize = text.strip_prefix("0123456789").unwrap().trim().parse().unwrap();
        assert!(rest < 4 * MIB, "{rest} bytes came after the abort");
    });
}

#[test]
fn streams_are_written_at_the_childs_pace_and_senseless_marks_refused() {
    run_with_policy(async |policy| {
        let child = policy.spawn(fed(Command::new("wc").arg("-c"))).await.unwrap();
        let stdin = child.stdin().unwrap();
        assert!(matches!(stdin.set_water_marks(2, 1), Err(StdinError::Marks { low: 2, high: 1 })));
        assert!(matches!(stdin.set_water_marks(0, 0), Err(StdinError::Marks { .. })));
        stdin.set_water_marks(1_000, 4_000).unwrap();
        let source = futures::stream::iter((0..1_000).map(|_| Bytes::from_static(&[b'x'; 999])));
        within(stdin.write_stream(source)).await.unwrap();
        stdin.write_eof().unwrap();
        assert_eq!(within(child.output()).await.unwrap().stdout.trim_ascii(), b"999000");
        let other = policy.spawn(Command::new("true")).await.unwrap();
        assert!(other.stdin().is_none());
    });
}

#[test]
fn a_paused_stream_blocks_its_child_and_loses_nothing() {
    run_with_policy(async |policy| {
        for _ in 0..10 {
            let line = "read go; head -c 1000000 /dev/zero; echo done >&2; read go";
            let child = policy.spawn(fed(Command::shell(line))).await.unwrap();
            let mut log = policy.log(Start::Now);
            child.pause(Source::Stdout);
            child.pause(Source::Stdout);
            let stdin = child.stdin().unwrap();
            stdin.write("go\n").unwrap();
            // Standard error is read on; the line comes only when all is written.
            let done = child.wait_for_line("done", Duration::from_millis(30)).await;
            assert!(done.is_err(), "the child was not blocked");
            child.resume(Source::Stdout);
            child.resume(Source::Stdout);
            child.wait_for_line("done", support::DEADLINE).await.unwrap();
            stdin.write("go\n").unwrap();
            let exit = within(child.wait()).await.unwrap();
            assert_eq!(exit.output_bytes, 1_000_005);
            while log.try_next().is_some() {}
        }
    });
}

#[test]
fn an_exit_is_seen_while_a_stream_is_paused_and_comes_after_what_its_pipe_held() {
    run_with_policy(async |policy| {
        for _ in 0..10 {
            let command = fed(Command::shell("read go; printf held; exit 4"));
            let child = policy.spawn(command).await.unwrap();
            child.pause(Source::Stdout);
            child.stdin().unwrap().write("go\n").unwrap();
            let output = within(child.output()).await.unwrap();
            assert_eq!(
                (output.exit.status, output.stdout),
                (ExitStatus::Code(4), b"held".to_vec())
            );
            // With the exit a pause is over, or nobody would ever close the pipe.
            let mut log = policy.log(Start::At(output.exit.seq));
            while !within(log.next()).await.unwrap().entries().any(is_closed) {}
        }
    });
}

#[test]
fn a_file_is_read_by_each_child_from_where_the_one_before_it_stopped() {
    run_with_both_launches(async |policy| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first\nsecond\nthird\n").unwrap();
        file.rewind().unwrap();
        // dd reads no more than it was told to.
        let line = Command::new("dd").args(["bs=6", "count=1", "status=none"]);
        let line = line.stdin(Stdin::file(file.try_clone().unwrap()));
        for (command, read) in [
            (line.clone(), "first\n"),
            (line.args(["bs=7"]), "second\n"),
            (Command::new("cat").stdin(Stdin::file(file)), "third\n"),
        ] {
            let child = policy.spawn(command).await.unwrap();
            assert!(child.stdin().is_none());
            let output = within(child.output()).await.unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), read);
            assert!(output.exit.status.success());
        }
    });
}

#[test]
fn no_copy_of_a_file_is_left_when_its_only_reader_has_ended() {
    run_with_both_launches(async |policy| {
        let (reader, writer) = io::pipe().unwrap();
        let cat = Command::new("cat").stdin(Stdin::file(reader));
        let child = policy.spawn(cat).await.unwrap();
        child.kill().await.unwrap();
        within(child.wait()).await.unwrap();
        // The command went into the spawn: nobody has the read end any more.
        let refused = (&writer).write(b"x").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_file_that_cannot_be_copied_for_the_child_is_a_typed_error() {
    run_with_both_launches(async |policy| {
        let file = std::fs::File::open("/dev/null").unwrap();
        let command = Command::new("cat").stdin(Stdin::file(file));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Descriptors are given out from the lowest free number.
        let lowest = io::pipe().map(|(reader, _)| reader.as_raw_fd()).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, lowest as u64, hard).unwrap();
        let spawned = policy.spawn(command.clone()).await;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let error = spawned.unwrap_err();
        assert_eq!(
            (error.program.as_str(), error.step, error.source.raw_os_error()),
            ("cat", SpawnStep::PrepareStdin, Some(libc::EMFILE)),
            "{error}"
        );
        let child = policy.spawn(command).await.unwrap();
        assert!(within(child.wait()).await.unwrap().status.success());
    });
}
