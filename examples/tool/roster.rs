//! `Roster`: the children that were started, for job control and for what survives the end.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use actix_process::{Child, Signal};
use nix::{
    sys::wait::{Id as Which, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    family::{Family, has_members},
    processes::{Id, Process, named},
    signals::Event,
};

struct Member {
    name: usize,
    child: Child,
    /// That it stands still was told.
    told: bool,
}

pub(crate) struct Roster {
    members: RefCell<Vec<Member>>,
    family: Arc<Family>,
    /// The strays of which it was told that they stand still.
    told: RefCell<HashSet<Id>>,
    events: UnboundedSender<Event>,
}

impl Roster {
    pub(crate) fn new(family: Arc<Family>, events: UnboundedSender<Event>) -> Self {
        Roster { members: RefCell::default(), family, told: RefCell::default(), events }
    }

    pub(crate) fn add(&self, name: usize, child: Child) {
        self.family.add(name, child.pid());
        let mut members = self.members.borrow_mut();
        members.retain(|it| it.child.try_wait().is_none() || has_members(it.child.pid()));
        members.push(Member { name, child, told: false });
        // It may have stopped before it was known here: that signal was for nothing.
        let _ = self.events.send(Event::ChildChanged);
    }

    /// Stops everyone.
    pub(crate) async fn hold(&self) {
        self.signal_groups(Signal::SIGSTOP).await;
        self.family.hold();
    }

    /// Continues everyone.
    pub(crate) async fn resume(&self) {
        self.signal_groups(Signal::SIGCONT).await;
        self.family.living().iter().for_each(|it| it.process.id.signal(Signal::SIGCONT));
        // One that stops again is told again.
        self.members.borrow_mut().iter_mut().for_each(|member| member.told = false);
        self.told.borrow_mut().clear();
    }

    async fn signal_groups(&self, signal: Signal) {
        let children: Vec<_> = self.members.borrow().iter().map(|it| it.child.clone()).collect();
        for child in children {
            // One that has ended needs no signal, and one that refuses goes on as it is.
            let _ = child.signal_group(signal).await;
        }
    }

    /// Those that have been stopped since the last look: a name's number, and what to say.
    pub(crate) fn newly_stopped(&self) -> Vec<(usize, String)> {
        let mut stopped = Vec::new();
        for member in &mut *self.members.borrow_mut() {
            let signal = stopped_by(&member.child);
            if let Some(signal) = signal.filter(|_| !member.told) {
                stopped.push((member.name, standstill(signal)));
            }
            member.told = signal.is_some();
        }
        stopped
    }

    /// The same of those whom no signal to a child's group reaches: nothing tells that they stop.
    pub(crate) fn newly_stopped_strays(&self) -> Vec<(Option<usize>, String)> {
        let strays = self.family.living().into_iter();
        let strays: Vec<_> = strays.filter(|it| it.is_stray && it.process.has_stopped()).collect();
        let mut told = self.told.borrow_mut();
        let new = strays.iter().filter(|it| !told.contains(&it.process.id));
        let say = |process: &Process| {
            let who = named(std::slice::from_ref(process));
            format!("{who} has stopped; if it wants the terminal: only this tool may use that")
        };
        let new = new.map(|it| (it.name, say(&it.process))).collect();
        *told = strays.iter().map(|it| it.process.id).collect();
        new
    }
}

/// Looks only: the state stays as it is for everyone else who waits.
fn stopped_by(child: &Child) -> Option<Signal> {
    if child.try_wait().is_some() {
        return None;
    }
    let look = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Which::Pid(Pid::from_raw(child.pid())), look) {
        Ok(WaitStatus::Stopped(_, signal)) => Some(signal),
        Ok(_) | Err(_) => None,
    }
}

fn standstill(signal: Signal) -> String {
    let why = match signal {
        Signal::SIGTTIN => ": it wants to read from the terminal, which only this tool may",
        Signal::SIGTTOU => ": it wants to set the terminal, which only this tool may",
        _ => "",
    };
    format!("stopped by {}{why}", signal.as_str())
}
