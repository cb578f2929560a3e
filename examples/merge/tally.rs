//! The actor that counts the ends of the commands.

use actix::prelude::*;
use actix_process::ChildExited;
use tokio::sync::oneshot;

/// A command could not be spawned.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NotStarted;

/// Asks how many commands failed.
#[derive(Message)]
#[rtype(usize)]
pub(crate) struct Summary;

/// `done` gets the first non-zero status when every command has ended.
pub(crate) struct Tally {
    unended: usize,
    failed: usize,
    first_failure: u8,
    done: Option<oneshot::Sender<u8>>,
}

impl Tally {
    pub(crate) fn new(commands: usize, done: oneshot::Sender<u8>) -> Self {
        Tally { unended: commands, failed: 0, first_failure: 0, done: Some(done) }
    }

    fn ended(&mut self, code: u8) {
        self.unended = self.unended.saturating_sub(1);
        if code != 0 {
            self.failed += 1;
            if self.first_failure == 0 {
                self.first_failure = code;
            }
        }
        if let Some(done) = self.done.take_if(|_| self.unended == 0) {
            // After a signal its receiver has gone.
            let _ = done.send(self.first_failure);
        }
    }
}

impl Actor for Tally {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for Tally {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, _: &mut Self::Context) {
        self.ended(exit.status.shell_code());
    }
}

impl Handler<NotStarted> for Tally {
    type Result = ();

    fn handle(&mut self, NotStarted: NotStarted, _: &mut Self::Context) {
        self.ended(126);
    }
}

impl Handler<Summary> for Tally {
    type Result = usize;

    fn handle(&mut self, Summary: Summary, _: &mut Self::Context) -> usize {
        self.failed
    }
}
