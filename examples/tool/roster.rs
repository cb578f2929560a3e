//! `Roster`: the children that were started, for job control and for what survives the end.

use std::cell::{Cell, RefCell};

use actix_process::{Child, UnixSignal};
use nix::{
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    groups::{self, Process},
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
    /// The tool itself lets them stand still.
    held: Cell<bool>,
    events: UnboundedSender<Event>,
}

impl Roster {
    pub(crate) fn new(events: UnboundedSender<Event>) -> Self {
        Roster { members: RefCell::default(), held: Cell::new(false), events }
    }

    pub(crate) fn add(&self, name: usize, child: Child) {
        let mut members = self.members.borrow_mut();
        members.retain(|it| it.child.try_wait().is_none() || !groups::is_empty(it.child.pid()));
        members.push(Member { name, child, told: false });
        // It may have stopped before it was known here: that signal was for nothing.
        let _ = self.events.send(Event::ChildChanged);
    }

    /// Stops every group.
    pub(crate) async fn hold(&self) {
        self.held.set(true);
        self.signal(UnixSignal::SIGSTOP).await;
    }

    /// Continues every group.
    pub(crate) async fn resume(&self) {
        self.signal(UnixSignal::SIGCONT).await;
        // One that stops again is told again.
        self.members.borrow_mut().iter_mut().for_each(|member| member.told = false);
        self.held.set(false);
    }

    async fn signal(&self, signal: UnixSignal) {
        let children: Vec<_> = self.members.borrow().iter().map(|it| it.child.clone()).collect();
        for child in children {
            // One that has ended needs no signal, and one that refuses goes on as it is.
            let _ = child.signal_group(signal).await;
        }
    }

    /// Those that have been stopped since the last look: a name's number, and the signal.
    pub(crate) fn newly_stopped(&self) -> Vec<(usize, UnixSignal)> {
        if self.held.get() {
            return Vec::new();
        }
        let mut stopped = Vec::new();
        for member in &mut *self.members.borrow_mut() {
            let signal = stopped_by(&member.child);
            if let Some(signal) = signal.filter(|_| !member.told) {
                stopped.push((member.name, signal));
            }
            member.told = signal.is_some();
        }
        stopped
    }

    /// What still runs in the children's groups.
    pub(crate) fn survivors(&self) -> Vec<Process> {
        groups::members(&self.members.borrow().iter().map(|it| it.child.pid()).collect())
    }
}

/// Looks only: the state stays as it is for everyone else who waits.
fn stopped_by(child: &Child) -> Option<UnixSignal> {
    if child.try_wait().is_some() {
        return None;
    }
    let look = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(Pid::from_raw(child.pid())), look) {
        Ok(WaitStatus::Stopped(_, signal)) => Some(signal),
        Ok(_) | Err(_) => None,
    }
}
