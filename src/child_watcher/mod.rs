//! Child watchers: how exits are learnt of. One contract, five implementations.

mod asking;
mod contract;
mod fast;
mod handler;
mod multi_loop;
mod pidfd;
mod registry;
mod safe;
mod sigchld;
mod table;
mod threaded;

pub use contract::{ChildWatcher, Registering, WatchError};
pub use fast::FastWatcher;
pub use handler::{ExitHandler, WatchedExit};
pub use multi_loop::MultiLoopWatcher;
pub use pidfd::PidfdWatcher;
pub use safe::SafeWatcher;
use table::{HandlerTable, Registered};
pub use threaded::ThreadedWatcher;
