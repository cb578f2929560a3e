//! The actor that runs the processes and acts on requests.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use actix::prelude::*;
use actix_process::{Child, ChildExited, PolicyHandle, SpawnError};
use tokio::sync::oneshot;

use super::{
    parse::Process,
    request::{Request, Verb},
    stop::{left, stop},
    tool::{self, Family, Known, Notes, Printer, Roster, Say, Session},
};

/// How far a process is.
enum State {
    /// It is not there. What is left of its last child's group may be.
    Ended {
        last: Option<Child>,
    },
    /// It is being spawned, or about to be, and to be stopped right after that.
    Starting {
        stop: bool,
    },
    Running(Child),
    /// It is being ended, and to be started again after that.
    Stopping {
        child: Child,
        restart: bool,
    },
}

/// One process of the Procfile.
struct Place {
    process: Process,
    state: State,
}

/// Starts every process, when nothing can fail any more that the start needs.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Begin;

/// The board of processes. `done` gets the first non-zero status when all have ended.
pub(crate) struct Board {
    policy: PolicyHandle,
    printer: Addr<Printer>,
    notes: Notes,
    roster: Rc<Roster>,
    family: Arc<Family>,
    places: Vec<Place>,
    first_failure: u8,
    done: Option<oneshot::Sender<u8>>,
}

impl Board {
    pub(crate) fn new(
        session: &Session,
        processes: Vec<Process>,
        done: oneshot::Sender<u8>,
    ) -> Self {
        let place = |process| Place { process, state: State::Starting { stop: false } };
        Board {
            policy: session.policy.clone(),
            printer: session.printer.clone(),
            notes: session.notes.clone(),
            roster: Rc::clone(&session.roster),
            family: Arc::clone(&session.family),
            places: processes.into_iter().map(place).collect(),
            first_failure: 0,
            done: Some(done),
        }
    }

    fn say(&self, at: usize, text: impl Into<String>) {
        self.printer.do_send(Say { name: at, text: text.into() });
    }

    fn start_process(&mut self, at: usize, context: &mut Context<Self>) {
        self.places[at].state = State::Starting { stop: false };
        self.spawn(at, context);
    }

    fn spawn(&self, at: usize, context: &mut Context<Self>) {
        let command = tool::command(at, &self.places[at].process.command);
        let policy = self.policy.clone();
        let spawned = async move { policy.spawn(command).await };
        context.spawn(
            spawned
                .into_actor(self)
                .map(move |child, board, context| board.started(at, child, context)),
        );
    }

    fn started(
        &mut self,
        at: usize,
        child: Result<Child, SpawnError>,
        context: &mut Context<Self>,
    ) {
        let stop = matches!(self.places[at].state, State::Starting { stop: true });
        match child {
            Ok(child) => {
                self.say(at, format!("started, pid {}", child.pid()));
                self.printer.do_send(Known { name: at, child: child.id() });
                self.roster.add(at, child.clone());
                // Its exit may have been here before it.
                let exit = child.try_wait();
                self.places[at].state = State::Running(child.clone());
                if let Some(Ok(exit)) = exit {
                    self.exited(&exit);
                } else if stop {
                    self.stop_process(at, child, false, context);
                }
            }
            Err(error) => {
                self.say(at, error.to_string());
                self.ended(at, None, 126);
            }
        }
    }

    fn exited(&mut self, exit: &ChildExited) {
        let is_its = |place: &Place| matches!(&place.state, State::Running(child) if child.id() == exit.child);
        let Some(at) = self.places.iter().position(is_its) else { return };
        if let State::Running(child) = &self.places[at].state {
            let last = Some(child.clone());
            self.ended(at, last, exit.status.shell_code());
        }
    }

    /// A process has ended and is not started again.
    fn ended(&mut self, at: usize, last: Option<Child>, code: u8) {
        self.places[at].state = State::Ended { last };
        if self.first_failure == 0 {
            self.first_failure = code;
        }
        let all = self.places.iter().all(|place| matches!(place.state, State::Ended { .. }));
        if let Some(done) = self.done.take_if(|_| all) {
            // After a signal its receiver has gone.
            let _ = done.send(self.first_failure);
        }
    }

    fn stop_process(
        &mut self,
        at: usize,
        child: Child,
        restart: bool,
        context: &mut Context<Self>,
    ) {
        self.places[at].state = State::Stopping { child: child.clone(), restart };
        let (printer, family) = (self.printer.clone(), Arc::clone(&self.family));
        let stopped = async move {
            stop(&family, at, &child, |text| printer.do_send(Say { name: at, text })).await
        };
        context.spawn(
            stopped
                .into_actor(self)
                .map(move |left, board, context| board.stopped(at, &left, context)),
        );
    }

    /// A process was ended, but for what is left in its group.
    fn stopped(&mut self, at: usize, left: &[tool::Process], context: &mut Context<Self>) {
        let State::Stopping { child, restart } = &self.places[at].state else { return };
        let (child, restart) = (child.clone(), *restart);
        if restart && left.is_empty() {
            self.start_process(at, context);
            return;
        }
        if !left.is_empty() {
            let not_again = if restart { ", so it is not started again" } else { "" };
            self.say(at, format!("cannot be ended: {}{not_again}", tool::named(left)));
        }
        let code = match child.try_wait() {
            Some(Ok(exit)) => exit.status.shell_code(),
            Some(Err(_)) | None => 1,
        };
        self.ended(at, Some(child), code);
    }

    fn restart(&mut self, at: usize, context: &mut Context<Self>) {
        let text = match &mut self.places[at].state {
            State::Ended { last } => {
                match last.take().filter(|_| !left(&self.family, at).is_empty()) {
                    Some(child) => {
                        self.say(at, "restart: ending what is left of it first");
                        return self.stop_process(at, child, true, context);
                    }
                    None => {
                        self.say(at, "restart: it does not run, and is started");
                        return self.start_process(at, context);
                    }
                }
            }
            State::Running(child) => {
                let child = child.clone();
                self.say(at, "restart: ending it first");
                return self.stop_process(at, child, true, context);
            }
            State::Starting { stop } => match std::mem::take(stop) {
                true => "restart: it goes on running",
                false => "restart: it is being started already",
            },
            State::Stopping { restart, .. } => match std::mem::replace(restart, true) {
                true => "restart: it is being restarted already",
                false => "restart: it is being ended, and is started again after that",
            },
        };
        self.say(at, text);
    }

    fn stop(&mut self, at: usize, context: &mut Context<Self>) {
        let text = match &mut self.places[at].state {
            State::Ended { last } => {
                match last.take().filter(|_| !left(&self.family, at).is_empty()) {
                    Some(child) => {
                        self.say(at, "stop: ending what is left of it");
                        return self.stop_process(at, child, false, context);
                    }
                    None => "stop: it does not run",
                }
            }
            State::Running(child) => {
                let child = child.clone();
                self.say(at, "stop: ending it");
                return self.stop_process(at, child, false, context);
            }
            State::Starting { stop } => {
                *stop = true;
                "stop: it is being started, and is ended after that"
            }
            State::Stopping { restart, .. } => match std::mem::take(restart) {
                true => "stop: it is being ended, and is not started again",
                false => "stop: it is being ended already",
            },
        };
        self.say(at, text);
    }
}

impl Actor for Board {
    type Context = Context<Self>;
}

impl Handler<Begin> for Board {
    type Result = ();

    fn handle(&mut self, Begin: Begin, context: &mut Self::Context) {
        (0..self.places.len()).for_each(|at| self.spawn(at, context));
    }
}

impl Handler<ChildExited> for Board {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Self::Context) {
        self.exited(&exit);
    }
}

impl Handler<Request> for Board {
    type Result = ();

    fn handle(&mut self, request: Request, context: &mut Self::Context) {
        let names: Vec<_> = self.places.iter().map(|place| &*place.process.name).collect();
        match request.understood(&names) {
            None => {}
            Some(Err(wrong)) => self.notes.tell(&wrong),
            Some(Ok(_)) if self.family.ending.load(Ordering::Relaxed) => {
                self.notes.tell("the tool is ending every process already: nothing else is done");
            }
            Some(Ok((verb, places))) => {
                for at in places {
                    match verb {
                        Verb::Restart => self.restart(at, context),
                        Verb::Stop => self.stop(at, context),
                    }
                }
            }
        }
    }
}
