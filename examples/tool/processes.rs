//! The processes of the system, by `/proc`, and signals to exactly one of them.

use std::{collections::HashMap, fs};

use actix_process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::text::visible;

/// What no other process has, though its number can come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) pid: i32,
    /// In ticks of the kernel.
    start: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// The kernel's letter.
    state: u8,
}

impl Process {
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses, and can have some itself.
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = visible(stat.get(open + 1..close)?);
        let rest = String::from_utf8_lossy(stat.get(close + 1..)?).into_owned();
        let fields: Vec<_> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Process {
            // The 22nd field of all.
            id: Id { pid, start: fields.get(19)?.parse().ok()? },
            name,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            state: *fields.first()?.as_bytes().first()?,
        })
    }

    /// A member of this group that `/proc` does not show.
    pub(crate) fn hidden(group: i32) -> Self {
        let name = "a hidden process of the group".to_owned();
        let id = Id { pid: group, start: 0 };
        Process { id, name, parent: 0, group, session: 0, state: b'S' }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.state == b'T'
    }
}

impl Id {
    /// Signals this process and no other one. One that has ended needs no signal, and one that
    /// refuses is named in the end.
    pub(crate) fn signal(self, signal: Signal) {
        let (pid, signal) =
            (Pid::from_raw(self.pid), rustix::process::Signal::from_named_raw(signal as i32));
        let (Some(pid), Some(signal)) = (pid, signal) else { return };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        // It had the number after the pidfd was there: the pidfd is its own.
        if Process::read(self.pid).is_some_and(|it| it.id == self) {
            let _ = pidfd_send_signal(&pidfd, signal);
        }
    }
}

/// All processes that `/proc` shows, zombies among them.
pub(crate) fn all() -> HashMap<i32, Process> {
    /// A parent can end during a look, which hides whose child a process is; a parent in another
    /// namespace is never seen.
    const LOOKS: usize = 3;
    let mut processes = HashMap::new();
    for _ in 0..LOOKS {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes = pids.filter_map(|pid| Some((pid, Process::read(pid)?))).collect();
        let is_orphan = |it: &Process| it.parent != 0 && !processes.contains_key(&it.parent);
        if !processes.values().any(is_orphan) {
            break;
        }
    }
    processes
}

/// `name (pid 1), name (pid 2)`.
pub(crate) fn named(processes: &[Process]) -> String {
    let each = processes.iter().map(|it| format!("{} (pid {})", it.name, it.id.pid));
    each.collect::<Vec<_>>().join(", ")
}
