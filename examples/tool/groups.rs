//! Who is in a process group, by `/proc`.

use std::{collections::HashSet, fs};

use nix::{
    errno::Errno,
    sys::signal::killpg,
    unistd::{Pid, getsid},
};

use super::text::visible;

/// A process that runs: a zombie does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    group: i32,
    session: i32,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses, and can have some itself.
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = String::from_utf8_lossy(stat.get(close + 1..)?).into_owned();
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        let _parent = fields.next()?;
        let (group, session) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let name = visible(stat.get(open + 1..close)?);
        (!matches!(state, "Z" | "X")).then_some(Process { pid, name, group, session })
    }
}

/// The processes in these groups. Groups of children are in the tool's session: a group of another
/// session has only come by the same number.
pub(crate) fn members(groups: &HashSet<i32>) -> Vec<Process> {
    let session = getsid(None).map_or(0, Pid::as_raw);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let processes = pids.filter_map(Process::read);
    processes.filter(|it| it.session == session && groups.contains(&it.group)).collect()
}

/// Whether nothing runs in the group any more.
pub(crate) fn is_empty(group: i32) -> bool {
    killpg(Pid::from_raw(group), None) == Err(Errno::ESRCH)
        || members(&HashSet::from([group])).is_empty()
}

/// `name (pid 1), name (pid 2)`.
pub(crate) fn named(processes: &[Process]) -> String {
    let each = processes.iter().map(|it| format!("{} (pid {})", it.name, it.pid));
    each.collect::<Vec<_>>().join(", ")
}
