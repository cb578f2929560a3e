//! Operating-system child processes as first-class citizens of an actix system.
mod child;
mod command;
mod error;
mod ids;
mod log;
mod pipes;
mod policy;
mod read_loop;
mod spawn;
mod status;
mod subscribe;
mod supervise;
mod sys;
mod waiter;

pub use child::{Child, CollectedOutput};
pub use command::{Command, ErrorOutput, Output, ProcessGroup, Stdin};
pub use error::{PolicyStopped, SignalError, SpawnError, SpawnStep, StartError};
pub use ids::{ChildId, Seq, SubscriptionId, Turn};
pub use log::{Batch, ChildExited, Chunk, Entry, Exit, Fact, Gap, Line, Lines, LogReader, Stream};
pub use nix::sys::signal::Signal as UnixSignal;
pub use pipes::Driver;
pub use policy::{Policy, PolicyBuilder, PolicyHandle, Shutdown};
pub use spawn::Spawn;
pub use status::{ExitStatus, ResourceUsage};
pub use subscribe::{Lifecycle, OutputBatch, Subscribe, Unsubscribe};
pub use supervise::{Intensity, Part};
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub use supervise::{Fault, inject};
pub use waiter::{Signal, Target};
