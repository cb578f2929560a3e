//! The spawn path: one thread of the library's own, from a command to a child that is read and
//! waited for.

mod by_std;
mod check;
mod image;
mod launch;
mod messages;
mod own;
mod pipes;
mod search;
mod spawner;

pub use messages::Spawn;
pub(crate) use messages::{SpawnReply, SpawnTicket};
pub(crate) use spawner::{Job, Spawner};
