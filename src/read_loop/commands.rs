//! What other threads ask of the read loop, through its own queue.

use std::{os::fd::OwnedFd, sync::Arc};

use actix::Recipient;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::{
    ChildExited, ChildId, PolicyStopped, Source, SubscriptionId,
    cell::ChildCell,
    log::spill::SpillError,
    pipes::PipeEnd,
    process::Process,
    restart::{contain, drop_contained, trace::ChildSpan},
    subscribe::{Interest, Lifecycle, Subscribe},
    types::{Part, Quota, TerminalError},
};

/// A command for the read loop.
#[derive(Debug)]
pub(crate) enum LoopCommand {
    /// Read this child's pipes from now on.
    Register(Box<Registration>),
    /// This child's status pipe holds its record: for a driver that would find it late.
    PollSoon(ChildId),
    /// Read this pipe, which several children write to, under an id of its own.
    Share(ChildId, PipeEnd),
    /// This child's input queue has changed.
    Input(ChildId),
    /// Read a child's stream, or read it no more.
    Reading { child: ChildId, stream: Source, paused: bool },
    /// Do this to the terminal of a child.
    Terminal(ChildId, TerminalAction, oneshot::Sender<Result<(), TerminalError>>),
    /// Add a subscription.
    Subscribe(SubscriptionId, Subscribe),
    /// Remove a subscription.
    Unsubscribe(SubscriptionId),
    /// Nothing more goes to files: tell the lifecycle subscribers.
    SpillFailed(Arc<SpillError>),
    /// An actor was restarted: tell the lifecycle subscribers.
    Restarted(Part, String),
    /// Close everything, tell everyone why, and end.
    Finish(PolicyStopped),
}

impl LoopCommand {
    /// Tells whoever waits for it that the loop has ended.
    pub(super) fn refuse(self, reason: &PolicyStopped) {
        match self {
            LoopCommand::Register(registration) => {
                registration.cell.settle(Err(reason.clone()));
                if let Some(input) = &registration.cell.input {
                    input.close(Some(libc::EPIPE));
                }
            }
            LoopCommand::Subscribe(_, Subscribe { interest: Interest::Lifecycle(to), .. }) => {
                let stopped = Lifecycle::Stopped(reason.clone());
                contain("the waker of a subscriber", move || to.do_send(stopped));
            }
            // The drop of a reply wakes its caller, and that of a recipient may run its destructor.
            other @ (LoopCommand::Subscribe(..)
            | LoopCommand::Unsubscribe(_)
            | LoopCommand::PollSoon(_)
            | LoopCommand::Input(_)
            | LoopCommand::Share(..)
            | LoopCommand::Reading { .. }
            | LoopCommand::Terminal(..)
            | LoopCommand::SpillFailed(_)
            | LoopCommand::Restarted(..)
            | LoopCommand::Finish(_)) => drop_contained(other),
        }
    }
}

/// What is done to a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TerminalAction {
    Resize { rows: u16, columns: u16 },
    HangUp,
}

/// A child that the read loop is to read: its pipes, and who hears of its end.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) cell: Arc<ChildCell>,
    /// What its waiter owns it by.
    pub(crate) process: Arc<Process>,
    pub(crate) stdin: Option<PipeEnd>,
    pub(crate) outputs: SmallVec<[(Source, PipeEnd); 2]>,
    /// Its own part of the log.
    pub(crate) share: Option<Quota>,
    pub(crate) status: OwnedFd,
    pub(crate) exit_to: Option<Recipient<ChildExited>>,
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) span: ChildSpan,
}

/// What few children have.
#[derive(Debug)]
pub(crate) struct Extras {
    /// The child's side of its terminal, until its exit: without one that holds it, a terminal ends
    /// as soon as nobody has it open, which a child can change again (by `/dev/tty`).
    pub(crate) terminal: Option<OwnedFd>,
    /// The shared contexts that it writes to.
    pub(crate) shared: SmallVec<[ChildId; 1]>,
}

impl Extras {
    /// `None` if there are none.
    pub(crate) fn some(self) -> Option<Box<Self>> {
        let Extras { terminal, shared } = &self;
        let none = terminal.is_none() && shared.is_empty();
        (!none).then(|| Box::new(self))
    }
}
