//! Promises 3 and 6: another process that reads from our pipes, or writes into them, by `/proc`,
//! blocks nothing and takes no exit.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use actix_process::{Command, OutputTo, ProcessGroup, Signal, Source, Stdin};
use support::{run_with_policy, within};

/// The pipes of this process: `(descriptor, what it is)`.
fn pipes() -> BTreeSet<(i32, String)> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let pipes = entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        let number = entry.file_name().to_string_lossy().parse().ok()?;
        target.starts_with("pipe:").then_some((number, target))
    });
    pipes.collect()
}

/// Opens a pipe as another process could, without waiting.
fn steal(number: i32, options: &mut OpenOptions) -> Option<File> {
    let path = format!("/proc/self/fd/{number}");
    options.custom_flags(libc::O_NONBLOCK).open(path).ok()
}

#[test]
fn one_that_reads_while_an_ended_child_is_drained_blocks_nothing() {
    run_with_policy(async |policy| {
        for _ in 0..30 {
            let before = pipes();
            // A descendant holds the pipe: it does not come to its end.
            let line = "read go; sleep 1000 & head -c 60000 /dev/zero; exit 3";
            let command = Command::shell(line).process_group(ProcessGroup::Own);
            let child = policy.spawn(command.stdin(Stdin::Piped)).await.unwrap();
            child.pause(Source::Stdout);
            let over = Arc::new(AtomicBool::new(false));
            let theirs = fs::read_link(format!("/proc/{}/fd/1", child.pid())).unwrap();
            let ours = pipes().difference(&before).cloned().collect::<Vec<_>>();
            let ours = ours.into_iter().filter(|(_, it)| *it == *theirs.to_string_lossy());
            let thieves: Vec<_> = ours
                .filter_map(|(number, _)| steal(number, OpenOptions::new().read(true)))
                .map(|mut pipe| {
                    let over = Arc::clone(&over);
                    thread::spawn(move || {
                        // Slowly: something is to be left when the child ends.
                        while !over.load(SeqCst) {
                            let _ = pipe.read(&mut [0]);
                        }
                    })
                })
                .collect();
            assert!(!thieves.is_empty());
            child.stdin().unwrap().write("go\n").unwrap();
            assert_eq!(within(child.wait()).await.unwrap().status.returncode(), 3);
            // Another child is read and told of.
            let other = policy.spawn(Command::new("echo").arg("on")).await.unwrap();
            assert_eq!(within(other.output()).await.unwrap().stdout, b"on\n");
            over.store(true, SeqCst);
            thieves.into_iter().for_each(|thief| thief.join().unwrap());
            child.signal_group(Signal::SIGKILL).await.unwrap();
        }
        within(policy.shutdown(Duration::ZERO)).await;
    });
}

/// The only pipe of such a child is the one that tells of its exit.
#[test]
fn one_that_takes_the_word_of_an_exit_or_forges_it_takes_no_exit() {
    run_with_policy(async |policy| {
        for (round, forged) in [false, true].into_iter().cycle().take(20).enumerate() {
            let before = pipes();
            let quiet =
                Command::shell("read go; exit 5").stdout(OutputTo::Null).stderr(OutputTo::Null);
            let child = policy.spawn(quiet.stdin(Stdin::Piped)).await.unwrap();
            let mine = fs::read_link(format!("/proc/{}/fd/0", child.pid())).unwrap();
            let status: Vec<_> = pipes()
                .difference(&before)
                .filter(|(_, it)| *it != *mine.to_string_lossy())
                .cloned()
                .collect();
            assert_eq!(status.len(), 2, "both ends are ours: {status:?}");
            let mut readers = Vec::new();
            for (number, _) in &status {
                if forged {
                    // Full of records that are none.
                    if let Some(mut pipe) = steal(*number, OpenOptions::new().write(true)) {
                        while pipe.write(&[round as u8; 56]).is_ok_and(|len| len > 0) {
                            if readers.len() > 100 {
                                break;
                            }
                            readers.push(None);
                        }
                    }
                } else {
                    readers.push(steal(*number, OpenOptions::new().read(true)));
                }
            }
            let over = Arc::new(AtomicBool::new(false));
            let thief = {
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    let mut bytes = [0; 512];
                    while !over.load(SeqCst) {
                        for reader in readers.iter_mut().flatten() {
                            let _ = reader.read(&mut bytes);
                        }
                        thread::yield_now();
                    }
                })
            };
            assert!(child.try_wait().is_none(), "it lives");
            child.stdin().unwrap().write("go\n").unwrap();
            assert_eq!(within(child.wait()).await.unwrap().status.returncode(), 5);
            over.store(true, SeqCst);
            thief.join().unwrap();
        }
    });
}
