//! Runs the tools of the examples as programs of their own.

use std::{
    ffi::OsStr,
    io::Read,
    os::fd::AsFd,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The built example of this name: `cargo test` builds them.
pub fn path(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{path:?} is built by `cargo test` or `cargo build --examples`");
    path
}

/// A tool with plain output, in a group of its own so that no signal of ours gets to the tests. No
/// signal is ignored, as SIGINT is where the tests run behind a script's `&`.
pub fn command(name: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("env");
    command
        .arg("--default-signal")
        .arg(path(name))
        .args(args)
        .process_group(0)
        .stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

/// A tool that runs; killed if the test ends before it does.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Running(command.spawn().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Waits for the end, and for no longer than this.
    pub fn ended_within(&mut self, time: Duration) -> ExitStatus {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the tool runs after {time:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Reads its output until this text has come.
    pub fn until_printed(&mut self, text: &str) -> String {
        let out = self.0.stdout.as_mut().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        let deadline = Instant::now() + super::DEADLINE;
        while !String::from_utf8_lossy(&seen).contains(text) {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis() as u16;
            let poll_out = &mut [PollFd::new(out.as_fd(), PollFlags::POLLIN)];
            let ready = poll(poll_out, left).unwrap();
            assert!(ready > 0, "no `{text}` in time in {}", String::from_utf8_lossy(&seen));
            let len = out.read(&mut byte).unwrap();
            assert!(len > 0, "no `{text}` in {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The whole output of a tool that ends by itself.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The signal that a status tells of.
pub fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Whether a process with this in its command line runs.
pub fn runs(mark: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let own = std::process::id().to_string();
    entries.filter(|entry| entry.file_name().to_string_lossy() != own).any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    })
}

/// A mark for command lines that no other test has.
pub fn mark(name: &str) -> String {
    format!("actix-process-test-{}-{name}", std::process::id())
}

/// Waits until something outside is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "the deadline passed: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
