//! Event loops: the arbiters of threads, the policy that says which thread has which, and signals.

mod arbiter;
mod default_policy;
mod policy;
mod signals;

pub use arbiter::EventLoop;
pub(crate) use policy::chosen_watcher;
pub use policy::{
    EventLoopPolicy, NoEventLoop, child_watcher, event_loop_policy, set_child_watcher,
    set_event_loop_policy,
};
pub use signals::{SignalArrived, SignalHandlerError};
