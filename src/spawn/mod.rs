//! The spawn path: one thread of the library's own, from a command to a child that is read and
//! waited for.

mod by_std;
mod check;
mod image;
mod launch;
mod messages;
mod newborn;
mod own;
mod pipeline;
mod pipes;
mod search;
mod spawner;

pub(crate) use messages::{Link, PipelineReply, PipelineTicket, SpawnReply, SpawnTicket};
pub use messages::{Spawn, SpawnPipeline};
pub(crate) use spawner::{Job, Spawner};
