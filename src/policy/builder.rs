//! `PolicyBuilder`: the settings of a policy.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Policy, PolicyHandle, thread};
use crate::{
    Driver, Intensity, Overflow, StartError,
    asyncio::{ChildWatcher, chosen_watcher},
    pipes,
};

/// The least that the log can be bound to: below it large reads would find no room.
const LEAST_BOUND: u64 = 256 * 1024;

/// The least that files can be bound to: some turns must fit.
const LEAST_SPILL: u64 = 4 * 1024 * 1024;

/// Sets a policy up. Made by [`Policy::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicyBuilder {
    pub(super) log_bound: u64,
    pub(super) overflow: Overflow,
    pub(super) spill: Option<(PathBuf, u64)>,
    pub(super) driver: Option<Driver>,
    pub(super) grace: Duration,
    pub(super) intensity: Intensity,
    pub(super) child_watcher: Option<Arc<dyn ChildWatcher>>,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        PolicyBuilder {
            log_bound: 8 * 1024 * 1024,
            overflow: Overflow::Block,
            spill: None,
            driver: None,
            grace: Duration::from_secs(5),
            intensity: Intensity::default(),
            child_watcher: None,
        }
    }
}

impl PolicyBuilder {
    /// How many bytes the merged log holds, 8 MiB by default, 256 KiB at least: fewer are an error
    /// at the start. The rest of a child that ends is always read: up to one full pipe of it comes
    /// on top.
    pub fn log_bound(mut self, bytes: u64) -> Self {
        self.log_bound = bytes;
        self
    }

    /// What happens when a lossless reader is a whole log behind.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Where [`Overflow::Spill`] writes to, and how many bytes of files there may be: 4 MiB at least,
    /// fewer are an error at the start. The policy makes a directory of its own there, and removes
    /// it at its end: what a subscriber has not taken until then comes into memory, while a reader
    /// ([`PolicyHandle::log`]) goes on reading from the files. What a crash leaves behind is read by
    /// [`replay_spilled`](crate::log::spill::replay_spilled). A directory that is missing, full or read-only
    /// stops nobody: [`Overflow::Block`] is in force then, and the lifecycle subscribers are told
    /// ([`Lifecycle::SpillFailed`](crate::Lifecycle::SpillFailed)).
    ///
    /// Only the policy's own user can read the files (the directory has the mode 0700, each file 0600,
    /// whatever the umask). A directory that cannot be made private is refused as one that is missing.
    pub fn spill(mut self, directory: impl Into<PathBuf>, bytes: u64) -> Self {
        self.spill = Some((directory.into(), bytes));
        self
    }

    /// Forces a driver. By default the environment variable `ACTIX_PROCESS_DRIVER` (`ring` or
    /// `sweep`) decides, and without it the best one that works here is taken.
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = Some(driver);
        self
    }

    /// How long children may take to end after `SIGTERM` when the policy ends because its last
    /// handle was dropped, its System stopped, or it gave up. Five seconds by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many panics of the library's own parts are borne.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// The watcher that learns of the children's exits and reaps them, hosted by the policy's
    /// `Watcher` actor. All promises of the merged log hold with it. Without one, the process-wide
    /// choice counts ([`set_event_loop_policy`](crate::asyncio::set_event_loop_policy),
    /// [`set_child_watcher`](crate::asyncio::set_child_watcher)); and where there is none, each child's
    /// waiter waits on the child's pidfd itself, which is the fastest way.
    ///
    /// While the watcher is inactive nothing is spawned. Children that it lets go of (by its close)
    /// are waited for by their waiters. The watcher stays yours: the policy does not close it.
    pub fn child_watcher(mut self, watcher: Arc<dyn ChildWatcher>) -> Self {
        self.child_watcher = Some(watcher);
        self
    }

    /// Starts the policy on threads of its own, and returns when it is ready.
    ///
    /// Called in an actix System, the policy ends with it: the System's end waits until every
    /// child is gone. Called elsewhere, it ends with its last handle.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a bound is too small, [`Overflow::Spill`] has no directory, threads or
    /// descriptors cannot be had, no process can be launched here, the driver that was asked for does
    /// not work, or the process-wide policy has no child watcher to give.
    pub fn start(mut self) -> Result<PolicyHandle, StartError> {
        if self.log_bound < LEAST_BOUND {
            return Err(StartError::LogBound { bytes: self.log_bound, least: LEAST_BOUND });
        }
        match self.spill {
            Some((_, bytes)) if bytes < LEAST_SPILL => {
                return Err(StartError::SpillBound { bytes, least: LEAST_SPILL });
            }
            None if self.overflow == Overflow::Spill => return Err(StartError::NoSpillDirectory),
            Some(_) | None => {}
        }
        if self.driver.is_none() {
            self.driver = pipes::from_environment()?;
        }
        if self.child_watcher.is_none() {
            self.child_watcher = chosen_watcher()?;
        }
        thread::start(self)
    }
}

impl Policy {
    /// A policy with other settings than the default ones.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Starts a policy with the default settings. See [`PolicyBuilder::start`].
    ///
    /// # Errors
    ///
    /// As [`PolicyBuilder::start`].
    pub fn start() -> Result<PolicyHandle, StartError> {
        Policy::builder().start()
    }
}
