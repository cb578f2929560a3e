//! `ExitHandler` and `WatchedExit`: what is notified of a watched child's exit, and the message.

use std::{fmt, io};

use actix::{Message, Recipient};

use crate::{
    ExitStatus, ResourceUsage,
    asyncio::EventLoop,
    restart::{contain, trace},
    sys::wait::{self, Ended, Which},
};

/// A watched child has ended and was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct WatchedExit {
    /// The child's process id. The system may reuse it from now on.
    pub pid: i32,
    /// How the child ended.
    pub status: ExitStatus,
    /// What the child used; all zero if the status is lost.
    pub usage: ResourceUsage,
}

impl WatchedExit {
    /// The status in the form of asyncio's watchers: see [`ExitStatus::returncode`].
    #[must_use]
    pub fn returncode(&self) -> i32 {
        self.status.returncode()
    }

    /// Reaps the child of this process that has this PID, if it has ended: the system call that a
    /// watcher of your own needs.
    ///
    /// # Errors
    ///
    /// `ECHILD` if this process has no child with the PID: its status is [lost](WatchedExit::lost).
    pub fn reap(pid: i32) -> io::Result<Option<Self>> {
        Ok(wait::reap(Which::Pid(pid))?.map(WatchedExit::from))
    }

    /// What [`WatchedExit::reap`] would return, without reaping the child.
    ///
    /// # Errors
    ///
    /// As [`WatchedExit::reap`].
    pub fn peek(pid: i32) -> io::Result<Option<Self>> {
        Ok(wait::peek(Which::Pid(pid))?.map(WatchedExit::from))
    }

    /// The exit of a child whose status other code took. Warns, with the PID.
    #[must_use]
    pub fn lost(pid: i32) -> Self {
        let exit = Self::lost_untold(pid);
        exit.warn_if_lost();
        exit
    }

    fn lost_untold(pid: i32) -> Self {
        WatchedExit { pid, status: ExitStatus::Lost, usage: ResourceUsage::default() }
    }

    /// Call this with no lock held: a `tracing` layer may ask after this child.
    pub(super) fn warn_if_lost(&self) {
        if self.status == ExitStatus::Lost {
            trace::warn!(
                pid = self.pid,
                "a watched child ended and its status is lost: something else in this program \
                 waited for it, or SIGCHLD is ignored",
            );
        }
    }

    /// The result of reaping a watched child; `None` if it is alive. Does not warn.
    pub(super) fn of(pid: i32, reaped: io::Result<Option<Ended>>) -> io::Result<Option<Self>> {
        match reaped {
            Ok(ended) => Ok(ended.map(WatchedExit::from)),
            Err(error) if wait::is_gone(&error) => Ok(Some(Self::lost_untold(pid))),
            Err(error) => Err(error),
        }
    }
}

impl From<Ended> for WatchedExit {
    fn from(Ended { pid, status, usage }: Ended) -> Self {
        WatchedExit { pid, status, usage }
    }
}

/// A recipient or a closure that is notified of an exit, once. A panic of the closure, or of a
/// value that it drops, is caught and logged.
pub struct ExitHandler(Option<Kind>);

enum Kind {
    Recipient(Recipient<WatchedExit>),
    Closure(Box<dyn FnOnce(WatchedExit) + Send>),
}

impl ExitHandler {
    /// A handler that runs a closure. The watcher decides on which thread; it must not block.
    pub fn new(run: impl FnOnce(WatchedExit) + Send + 'static) -> Self {
        ExitHandler(Some(Kind::Closure(Box::new(run))))
    }

    /// Notifies the handler, on this thread.
    pub fn call(mut self, exit: WatchedExit) {
        let whose = format_args!("the exit handler of process {}", exit.pid);
        match self.0.take() {
            Some(Kind::Recipient(recipient)) => contain(whose, || recipient.do_send(exit)),
            Some(Kind::Closure(run)) => contain(whose, || run(exit)),
            None => None,
        };
    }

    /// Notifies the handler: a recipient from this thread, a closure on the loop. If the loop has
    /// ended, or is `None`, the closure runs on this thread.
    pub fn call_on(self, event_loop: Option<&EventLoop>, exit: WatchedExit) {
        match (&self.0, event_loop) {
            (Some(Kind::Closure(_)), Some(event_loop)) => {
                let due = Due(Some((self, exit)));
                event_loop.spawn(async move { drop(due) });
            }
            _ => self.call(exit),
        }
    }
}

impl Drop for ExitHandler {
    fn drop(&mut self) {
        let dropped = self.0.take();
        contain("the drop of an exit handler", || drop(dropped));
    }
}

/// A call that is due on a loop. Its drop makes the call, so that it is made also if the loop ends
/// before the task runs.
struct Due(Option<(ExitHandler, WatchedExit)>);

impl Drop for Due {
    fn drop(&mut self) {
        if let Some((handler, exit)) = self.0.take() {
            handler.call(exit);
        }
    }
}

impl From<Recipient<WatchedExit>> for ExitHandler {
    fn from(recipient: Recipient<WatchedExit>) -> Self {
        ExitHandler(Some(Kind::Recipient(recipient)))
    }
}

impl fmt::Debug for ExitHandler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Some(Kind::Recipient(_)) => "ExitHandler(recipient)",
            Some(Kind::Closure(_)) => "ExitHandler(closure)",
            None => "ExitHandler",
        })
    }
}
