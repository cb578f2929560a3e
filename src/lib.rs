//! Operating-system child processes as first-class citizens of an actix system.
//!
//! A [`Policy`] spawns children from [`Command`]s, keeps one merged log of everything that they
//! write, and sends their exits as messages to any actor that subscribes.
//!
//! ```
//! use actix_process::{Command, Policy};
//!
//! # actix::System::new().block_on(async {
//! let policy = Policy::start()?;
//! let child = policy.spawn(Command::shell("echo hello; exit 3")).await?;
//! let output = child.output().await?;
//! assert_eq!(output.stdout, b"hello\n");
//! assert_eq!(output.exit.status.returncode(), 3);
//! policy.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # The messages
//!
//! Everything that is asked of a policy is a message to its address, and a method of
//! [`PolicyHandle`] that sends it: [`Spawn`], [`SpawnPipeline`], [`Subscribe`], [`Unsubscribe`],
//! [`SendSignal`], [`ShareOutput`] and [`Shutdown`]. Subscribers receive [`ChildExited`],
//! [`Lifecycle`] and [`OutputBatch`].
//!
//! What is asked of one child is a method of [`Child`] only, but for [`SendSignal`]: a handle signals
//! the process and reaches the read loop directly, without a hop through the policy, and an actor
//! that has no handle can be sent one. Methods that wait, or that can be refused, are async; those
//! that only leave a wish for the read loop (`pause`, `resume`, `ChildStdin::write`) are not.
//!
//! # The promises
//!
//! 1. **One sequence.** Every chunk, gap and lifecycle fact of every child has a [`Seq`] in one
//!    gapless order: the order in which the read loop observed it. A pipe's bytes keep their order.
//!    Facts of one [`Turn`](log::Turn) are concurrent.
//! 2. **Exit after output, never after EOF.** [`ChildExited`] follows every byte that the child
//!    itself wrote, and never waits for a grandchild that holds the pipe. It carries the child's
//!    last [`Seq`], its status and its resource usage. [`Fact::Closed`] is a separate, later fact.
//! 3. **Exactly once.** Each child has one exit, seen once by each matching subscriber, through
//!    full mailboxes, stalled subscribers, and panics of handlers, waiters, the watcher, the read
//!    loop and foreign code (`tracing` layers, wakers, destructors).
//! 4. **No silent loss.** Bytes are dropped only if no lossless reader wants them or
//!    [`Overflow::DropOldest`] was chosen, and a counted [`Gap`](log::Gap) stands in their place. A
//!    status that someone else reaped is [`ExitStatus::Lost`] (returncode 255), never invented.
//! 5. **No leak.** No zombie, process of a child's group, descriptor or thread remains after a drop, a
//!    failure or a shutdown; a signal never reaches a reused PID.
//! 6. **Nobody blocks the loop.** Not a subscriber, not a stuck arbiter, not a chatty child; no
//!    child starves another. For hostile children, see below.
//! 7. **Silence costs nothing.** With the ring driver, a thousand quiet children use no measurable
//!    CPU. The sweeping driver asks each quiet pipe 20 times a second.
//!
//! # Children that are not trusted
//!
//! The kernel reads a pipe under a lock of that pipe's. A child that writes to its own pipe from
//! memory that it lets fault for ever (by `userfaultfd` or a file system of its own) holds that lock,
//! and any reader of the pipe waits in the kernel: the read loop, and with it every child of the same
//! policy. No reader of pipes can defend itself against that. Promise 6 covers it only for children
//! whose outputs go to [`PolicyHandle::attributed_output`]: a socket copies what is written before it
//! takes a lock. So give such an output to a child that may be hostile, or run a policy of its own
//! for each trust domain. A process of the same user can open our ends of the pipes by `/proc` and
//! take bytes out of them, which nothing prevents; exits it can neither take nor forge.
//!
//! # The rooms
//!
//! The source is one list of modules, from the ground up; each imports only those before it:
//! `types`, `restart`, `sys`, `asyncio`, `command`, `pipes`, `log`, `cell`, `process`, `subscribe`,
//! `read_loop`, `waiting`, `child`, `spawn`, `policy`. `ARCHITECTURE.md` tells what each one owns.
//!
//! # Tracing
//!
//! Each child has a span `child` (id, pid, program; never arguments or environment) with events at
//! its spawn and exit. Restarts, pauses of reading, lost statuses and raised limits are events too.
//! What children write is told only on request: [`LogReader::trace_lines`].

pub mod asyncio;
mod cell;
mod child;
mod command;
pub mod log;
mod pipes;
mod policy;
mod process;
mod read_loop;
mod restart;
mod spawn;
mod subscribe;
mod sys;
mod types;
mod waiting;

// What to run.
pub use command::{
    Command, ErrorTo, OutputTo, Pipeline, ProcessGroup, ShareOutput, SharedOutput, Stdin, Terminal,
};
// Who runs it.
pub use pipes::Driver;
pub use policy::{Policy, PolicyBuilder, PolicyHandle, Shutdown};
pub use restart::Intensity;
pub use spawn::{Spawn, SpawnPipeline};
// The children.
pub use child::{Child, ChildStdin, Output, RunningPipeline};
pub use nix::sys::signal::Signal;
pub use process::Target;
pub use waiting::SendSignal;
// What is told of them.
#[doc(inline)]
pub use log::recording;
pub use log::{Entry, Fact, LogReader, Start};
pub use subscribe::{Lifecycle, OutputBatch, Subscribe, Unsubscribe};
pub use types::{
    ChildExited, ChildId, ExitStatus, Overflow, PolicyStopped, ResourceUsage, Seq, SignalError,
    Source, SpawnError, SpawnStep, StartError, SubscriptionId,
};

pub mod error;
#[cfg(any(doc, doctest))]
pub mod recipes;

// Points at which the tests inject a panic.
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub use restart::{Fault, inject};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
