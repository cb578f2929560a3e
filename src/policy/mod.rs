//! The policy: the front door, the start, and the end.

mod builder;
mod front_door;
mod handle;
mod host;
mod messages;
mod shutdown;

pub use builder::PolicyBuilder;
pub use front_door::Policy;
pub use handle::PolicyHandle;
pub use messages::Shutdown;
