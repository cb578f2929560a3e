//! The parts that a bench's own binary plays as a child.

use std::{env, io::Write, process};

const PART: &str = "ACTIX_PROCESS_BENCH_CHILD";

/// The command line and environment of a child that plays `part`.
pub fn part(part: &str) -> (std::path::PathBuf, (&'static str, String)) {
    (env::current_exe().expect("this binary"), (PART, part.to_owned()))
}

/// The same as a command of ours.
pub fn command(name: &str) -> actix_process::Command {
    let (program, (key, value)) = part(name);
    actix_process::Command::new(program).env(key, value)
}

/// Nanoseconds of the monotonic clock, which parent and child share.
pub fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Plays the part that the environment asks for, if it does, and never returns then.
pub fn play() {
    let Ok(part) = env::var(PART) else { return };
    let mut words = part.split(' ');
    let mut stdout = unbuffered();
    match words.next() {
        // Writes the time and exits at once.
        Some("stamp") => drop(stdout.write_all(&now().to_le_bytes())),
        // Puts the time in a file of memory and exits at once.
        Some("note") => {
            use std::os::unix::fs::FileExt;
            let file = words.next().map(|path| std::fs::File::options().write(true).open(path));
            if let Some(Ok(file)) = file {
                drop(file.write_all_at(&now().to_le_bytes(), 0));
            }
        }
        // Writes so many blocks of so many bytes, from a time on.
        Some("write") => {
            let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0_u64);
            let (blocks, len, start) = (number(), number(), number());
            let block = vec![b'x'; len as usize];
            std::thread::sleep(std::time::Duration::from_nanos(start.saturating_sub(now())));
            for _ in 0..blocks {
                if stdout.write_all(&block).is_err() {
                    break;
                }
            }
        }
        // Writes so many lines of 80 bytes in writes of 4 KiB.
        Some("lines") => {
            let count: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            // 256 lines are five whole writes.
            let block: Vec<u8> =
                (0..256).flat_map(|line| format!("{line:079}\n").into_bytes()).collect();
            let mut left = count * 80;
            for write in block.chunks(4096).cycle() {
                let len = left.min(write.len());
                if len == 0 || stdout.write_all(&write[..len]).is_err() {
                    break;
                }
                left -= len;
            }
        }
        // Reads to the end, in blocks of 64 KiB.
        Some("swallow") => {
            let mut block = vec![0; 64 * 1024];
            let mut stdin = std::io::stdin().lock();
            while std::io::Read::read(&mut stdin, &mut block).is_ok_and(|len| len > 0) {}
        }
        // Writes the time every ten milliseconds, so often.
        Some("tick") => {
            let count: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            for _ in 0..count {
                std::thread::sleep(std::time::Duration::from_millis(10));
                if stdout.write_all(&now().to_le_bytes()).is_err() {
                    break;
                }
            }
        }
        other => panic!("no such part: {other:?}"),
    }
    // SAFETY: ends the process without running anything, which is what a child that stamps wants.
    unsafe { libc::_exit(0) }
}

fn unbuffered() -> std::fs::File {
    use std::os::fd::AsFd;
    std::io::stdout().as_fd().try_clone_to_owned().map_or_else(|_| process::exit(1), Into::into)
}
