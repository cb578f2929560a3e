//! `Family`: all that the tool's children have started, in whatever group or session it is now.
//!
//! The tool is the reaper of its orphans: whatever loses its parent becomes the tool's own child, and
//! stays to be found. Whose it was is remembered from the last look, or said by its environment.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs, process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_process::{Command, PolicyHandle, ProcessGroup, Shutdown, Signal};
use nix::{
    errno::Errno,
    sys::{
        prctl::set_child_subreaper,
        signal::killpg,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, getsid},
};

use super::{
    processes::{Id, Process, all},
    signals::GRACE,
};

/// The variable that tells by which tool, and for which name, a process was started.
const MARK: &str = "ACTIX_PROCESS_TOOL";

/// One that is signalled may have been starting another. One that does not heed it may do so for ever.
const ROUNDS: usize = 5;

/// The library reaps its own children sooner than this.
const ZOMBIE: Duration = Duration::from_secs(1);

/// One that lives, a zombie not among them.
pub(crate) struct Relative {
    pub(crate) process: Process,
    /// The number of the name whose child has started it; `None` if that is not known.
    pub(crate) name: Option<usize>,
    /// No signal to a child's group reaches it.
    pub(crate) is_stray: bool,
}

#[derive(Default)]
struct Seen {
    /// The children of the library, which lead their groups, and their names' numbers.
    children: HashMap<i32, (Id, usize)>,
    /// Who was there at the last look, and whose it was.
    relatives: HashMap<Id, Option<usize>>,
    /// Who was asked to end.
    told: HashSet<Id>,
    /// The orphans that have ended, and since when.
    zombies: HashMap<Id, Instant>,
}

pub(crate) struct Family {
    session: i32,
    seen: Mutex<Seen>,
    /// The end was begun.
    pub(crate) ending: AtomicBool,
}

impl Family {
    pub(crate) fn new() -> Self {
        // Without it, an orphan is found if it was seen before.
        let _ = set_child_subreaper(true);
        let session = getsid(None).map_or(0, Pid::as_raw);
        Family { session, seen: Mutex::default(), ending: AtomicBool::new(false) }
    }

    pub(crate) fn add(&self, name: usize, pid: i32) {
        // One that was reaped already counts for its group.
        let id = Process::read(pid).map_or_else(|| Process::hidden(pid).id, |it| it.id);
        self.lock().children.insert(pid, (id, name));
    }

    /// Begins the end of everyone.
    pub(crate) fn end(&self, policy: &PolicyHandle) {
        self.ending.store(true, Ordering::Relaxed);
        // Whose the strays are is known as long as their parents are there.
        let strays = self.strays(None);
        policy.addr().do_send(Shutdown { grace: GRACE });
        self.terminate(strays, None);
    }

    /// Asks these strays to end, and those that come meanwhile, but for those that were asked before.
    pub(crate) fn terminate(&self, strays: Vec<Id>, name: Option<usize>) {
        let mut told = std::mem::take(&mut self.lock().told);
        // What is stopped acts on TERM when it is continued.
        signal(strays, || self.strays(name), &[Signal::SIGTERM, Signal::SIGCONT], &mut told);
        let mut seen = self.lock();
        told.retain(|id| seen.relatives.contains_key(id));
        seen.told.extend(told);
    }

    pub(crate) fn kill_strays(&self, name: Option<usize>) {
        let strays = || self.strays(name);
        signal(strays(), strays, &[Signal::SIGKILL], &mut HashSet::new());
    }

    /// Stops everyone. The tool itself may be starting one more meanwhile.
    pub(crate) fn hold(&self) {
        let everyone = || self.living().into_iter().map(|it| it.process.id).collect();
        signal(everyone(), everyone, &[Signal::SIGSTOP], &mut HashSet::new());
    }

    /// Those whom no signal to a child's group reaches, of this name or at all.
    pub(crate) fn strays(&self, name: Option<usize>) -> Vec<Id> {
        let wanted = |it: &Relative| it.is_stray && (name.is_none() || it.name == name);
        self.living().into_iter().filter(wanted).map(|it| it.process.id).collect()
    }

    /// Everyone, by a look at the system.
    pub(crate) fn living(&self) -> Vec<Relative> {
        let processes = all();
        let groups: HashSet<_> = processes.values().map(|it| it.group).collect();
        let mut seen = self.lock();
        // Those of which nothing is left are forgotten. `/proc` can hide the processes of others.
        let is_it = |pid: &i32, id| processes.get(pid).is_some_and(|it| it.id == id);
        seen.children
            .retain(|pid, (id, _)| groups.contains(pid) || is_it(pid, *id) || has_members(*pid));
        let mut living = Vec::new();
        for process in processes.values().filter(|it| !it.has_ended()) {
            if let Some(name) = self.whose(&seen, process, &processes) {
                let is_stray = self.by_group(&seen, process).is_none();
                living.push(Relative { process: process.clone(), name, is_stray });
            }
        }
        seen.relatives = living.iter().map(|it| (it.process.id, it.name)).collect();
        let hidden = seen.children.iter().filter(|(pid, _)| !groups.contains(pid));
        let hidden = hidden.filter(|(pid, _)| has_members(**pid));
        living.extend(hidden.map(|(pid, (_, name))| Relative {
            process: Process::hidden(*pid),
            name: Some(*name),
            is_stray: false,
        }));
        seen.reap(&processes);
        living
    }

    /// The child's name, if the process is in its group. A group of another session has only come by
    /// the same number.
    fn by_group(&self, seen: &Seen, process: &Process) -> Option<usize> {
        let child = seen.children.get(&process.group).filter(|_| process.session == self.session);
        child.map(|(_, name)| *name)
    }

    /// The name's number, if that is known. `None` for a process that is none of the tool's.
    fn whose(
        &self,
        seen: &Seen,
        process: &Process,
        processes: &HashMap<i32, Process>,
    ) -> Option<Option<usize>> {
        let own = process::id() as i32;
        if process.id.pid == own {
            return None;
        }
        let mut remembered = None;
        let mut at = Some(process);
        // A look is not of one moment: parents could stand in a ring.
        for _ in 0..processes.len() {
            let Some(it) = at else { break };
            let child = seen.children.get(&it.id.pid).filter(|(id, _)| *id == it.id);
            if let Some(name) = child.map(|(_, name)| *name).or_else(|| self.by_group(seen, it)) {
                return Some(Some(name));
            }
            match seen.relatives.get(&it.id) {
                Some(Some(name)) => return Some(Some(*name)),
                Some(None) => remembered = Some(None),
                None => {}
            }
            if it.parent == own {
                return Some(marked(it.id.pid));
            }
            at = processes.get(&it.parent);
        }
        remembered
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Reaps the orphans that have ended.
    fn reap(&mut self, processes: &HashMap<i32, Process>) {
        let own = process::id() as i32;
        let is_child = |id: &Id| self.children.get(&id.pid).is_some_and(|(child, _)| child == id);
        let zombies = processes.values().filter(|it| it.has_ended() && it.parent == own);
        let now = Instant::now();
        let mut since = HashMap::new();
        for id in zombies.map(|it| it.id).filter(|id| !is_child(id)) {
            let begin = self.zombies.get(&id).copied().unwrap_or(now);
            if now - begin >= ZOMBIE {
                let _ = waitpid(Pid::from_raw(id.pid), Some(WaitPidFlag::WNOHANG));
            } else {
                since.insert(id, begin);
            }
        }
        self.zombies = since;
    }
}

/// Signals each of them once, and then those that a look finds that they have started meanwhile.
fn signal(
    mut found: Vec<Id>,
    look: impl Fn() -> Vec<Id>,
    signals: &[Signal],
    told: &mut HashSet<Id>,
) {
    for _ in 0..ROUNDS {
        found.retain(|id| told.insert(*id));
        if found.is_empty() {
            return;
        }
        for signal in signals {
            found.iter().for_each(|id| id.signal(*signal));
        }
        found = look();
    }
}

/// A child of this name that the shell runs.
pub(crate) fn command(name: usize, line: impl Into<OsString>) -> Command {
    // A group of its own: a signal reaches what the shell starts, too. What leaves it has the mark.
    let command = Command::shell(line).process_group(ProcessGroup::Own);
    command.env(MARK, format!("{}:{name}", process::id()))
}

/// The number of the name that an orphan was started for.
fn marked(pid: i32) -> Option<usize> {
    let mark = format!("{MARK}={}:", process::id()).into_bytes();
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let name = variables.find_map(|it| it.strip_prefix(&*mark))?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// Whether the group has a member, be it a zombie or another user's.
pub(crate) fn has_members(group: i32) -> bool {
    killpg(Pid::from_raw(group), None) != Err(Errno::ESRCH)
}
