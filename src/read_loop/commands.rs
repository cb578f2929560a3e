//! What other threads ask of the read loop, through the queue of its mailbox.

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
    /// This child's status pipe holds its record: for a driver that would notice it late.
    PollSoon(ChildId),
    /// Read this pipe, which several children write to, under an id of its own.
    Share(ChildId, PipeEnd),
    /// This child's input queue has changed.
    Input(ChildId),
    /// Pause or resume the reading of a child's stream.
    Reading { child: ChildId, stream: Source, paused: bool },
    /// Resize or hang up the terminal of a child.
    Terminal(ChildId, TerminalAction, oneshot::Sender<Result<(), TerminalError>>),
    /// Add a subscription.
    Subscribe(SubscriptionId, Subscribe),
    /// Remove a subscription.
    Unsubscribe(SubscriptionId),
    /// Spilling has ended: notify the lifecycle subscribers.
    SpillFailed(Arc<SpillError>),
    /// An actor was restarted: notify the lifecycle subscribers.
    Restarted(Part, String),
    /// Close everything, notify everyone of the reason, and end.
    Finish(PolicyStopped),
}

impl LoopCommand {
    /// Tells the command's caller, if one waits, that the loop has ended.
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
            // Dropping a reply wakes its caller, and dropping a recipient may run its destructor.
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

/// An action on a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TerminalAction {
    Resize { rows: u16, columns: u16 },
    HangUp,
}

/// A child for the read loop: its pipes, and the recipient of its exit.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) cell: Arc<ChildCell>,
    /// The child's process, shared with its waiter.
    pub(crate) process: Arc<Process>,
    pub(crate) stdin: Option<PipeEnd>,
    pub(crate) outputs: SmallVec<[(Source, PipeEnd); 2]>,
    /// Its own quota of the log.
    pub(crate) share: Option<Quota>,
    pub(crate) status: OwnedFd,
    pub(crate) exit_to: Option<Recipient<ChildExited>>,
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) span: ChildSpan,
}

/// What only few children have.
#[derive(Debug)]
pub(crate) struct Extras {
    /// The child's side of its terminal, until its exit. It keeps the terminal from ending while no
    /// process has it open: the child can open it again (by `/dev/tty`).
    pub(crate) terminal: Option<OwnedFd>,
    /// The shared pipe contexts that the child writes to.
    pub(crate) shared: SmallVec<[ChildId; 1]>,
}

impl Extras {
    /// Returns `None` if they are empty.
    pub(crate) fn some(self) -> Option<Box<Self>> {
        let Extras { terminal, shared } = &self;
        let none = terminal.is_none() && shared.is_empty();
        (!none).then(|| Box::new(self))
    }
}
