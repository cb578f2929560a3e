//! asyncio's names: its event loop policy, its loops, their signals, its child watchers.
//!
//! `ChildWatcher` is the contract, with five implementations; an event loop is an arbiter.

mod contract;
mod default_policy;
mod event_loop;
mod event_loop_policy;
mod fast;
mod handler;
mod multi_loop;
mod pid_poller;
mod pidfd;
mod registry;
mod safe;
mod sigchld;
mod signals;
mod table;
mod threaded;

pub use contract::{ChildWatcher, Registering};
pub use event_loop::EventLoop;
pub(crate) use event_loop_policy::chosen_watcher;
pub use event_loop_policy::{
    EventLoopPolicy, NoEventLoop, child_watcher, event_loop_policy, set_child_watcher,
    set_event_loop_policy,
};
pub use fast::FastWatcher;
pub use handler::{ExitHandler, WatchedExit};
pub use multi_loop::MultiLoopWatcher;
pub use pidfd::PidfdWatcher;
pub use safe::SafeWatcher;
pub use signals::{SignalArrived, SignalHandlerError};
use table::{HandlerTable, Registered};
pub use threaded::ThreadedWatcher;

pub use crate::types::WatchError;
