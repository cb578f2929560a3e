//! The policy: its actor and handle, its start, and its end.

mod actor;
mod builder;
mod handle;
mod messages;
mod shutdown;
mod thread;

pub use actor::Policy;
pub use builder::PolicyBuilder;
pub use handle::PolicyHandle;
pub use messages::Shutdown;
