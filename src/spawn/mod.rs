//! The spawn path, on the library's own threads: from a command to a registered child with a
//! waiter.

mod check;
mod image;
mod interpreter;
mod launch;
mod messages;
mod pipeline;
mod pipes;
mod pool;
mod request;
mod search;
mod spawner;
mod unregistered;

pub(crate) use messages::{Link, PipelineReply, PipelineTicket, SpawnReply, SpawnTicket};
pub use messages::{Spawn, SpawnPipeline};
pub(crate) use pool::SpawnPool;
pub(crate) use request::{RequestPipeline, RequestSpawn, answer};
pub(crate) use spawner::{Job, Spawner};
