//! The policy: the front door, the start, and the end.

mod builder;
mod handle;
mod host;
mod messages;
mod policy;
mod shutdown;

pub use builder::PolicyBuilder;
pub use handle::PolicyHandle;
pub use messages::Shutdown;
pub use policy::Policy;
