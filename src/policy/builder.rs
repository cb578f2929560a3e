//! `PolicyBuilder`: the settings of a policy.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Policy, PolicyHandle, thread};
use crate::{
    Driver, Intensity, Overflow, StartError,
    asyncio::{ChildWatcher, chosen_watcher},
    pipes,
};

/// The smallest bound of the log: with less, large reads would have no room.
const LEAST_BOUND: u64 = 256 * 1024;

/// The smallest bound of the files: some turns must fit.
const LEAST_SPILL: u64 = 4 * 1024 * 1024;

/// The settings of a new policy. Made by [`Policy::builder`].
///
/// ```
/// # use std::time::Duration;
/// use actix_process::{Driver, Overflow, Policy};
///
/// # actix::System::new().block_on(async {
/// let policy = Policy::builder()
///     .log_bound(4 * 1024 * 1024)
///     .overflow(Overflow::DropOldest)
///     .driver(Driver::Sweep)
///     .grace(Duration::from_secs(2))
///     .start()?;
/// # policy.shutdown(Duration::ZERO).await;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
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
    /// How many bytes the merged log holds: 8 MiB by default, at least 256 KiB (a smaller bound is
    /// an error at the start). An ended child is always read to its end, so the limit can be
    /// exceeded by one full pipe.
    pub fn log_bound(mut self, bytes: u64) -> Self {
        self.log_bound = bytes;
        self
    }

    /// What happens when a lossless reader is a whole log behind.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Where [`Overflow::Spill`] writes, and the size limit of all its files: at least 4 MiB (a
    /// smaller one is an error at the start). The policy makes its own directory there and removes
    /// it at its end: a subscriber's remaining entries then come into memory, while a reader
    /// ([`PolicyHandle::log`]) goes on reading from the files. After a crash,
    /// [`replay_spilled`](crate::log::spill::replay_spilled) reads what is left. If the directory
    /// is missing, full or read-only, [`Overflow::Block`] is in force, and the lifecycle
    /// subscribers are notified ([`Lifecycle::SpillFailed`](crate::Lifecycle::SpillFailed)).
    ///
    /// Only the policy's own user can read the files (the directory has the mode 0700, each file
    /// 0600, whatever the umask). A directory that cannot be made private counts as missing.
    pub fn spill(mut self, directory: impl Into<PathBuf>, bytes: u64) -> Self {
        self.spill = Some((directory.into(), bytes));
        self
    }

    /// Forces a driver. By default the environment variable `ACTIX_PROCESS_DRIVER` (`ring` or
    /// `sweep`) decides. Without it, the policy takes the best driver that works here.
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = Some(driver);
        self
    }

    /// How long children may take to end after `SIGTERM` if the policy ends because its last handle
    /// was dropped, its System stopped, or it gave up. Five seconds by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many panics of its own parts the policy tolerates before it stops.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// The watcher that reports and reaps exited children, hosted by the policy's `Watcher` actor.
    /// All promises of the merged log hold with it. Without it, the process-wide choice is used
    /// ([`set_event_loop_policy`](crate::asyncio::set_event_loop_policy),
    /// [`set_child_watcher`](crate::asyncio::set_child_watcher)). If there is none, each child's
    /// waiter waits on the child's pidfd itself, which is the fastest way.
    ///
    /// While the watcher is inactive, every spawn fails. If it drops children (by its close), their
    /// waiters wait for them. The watcher stays yours: the policy does not close it.
    pub fn child_watcher(mut self, watcher: Arc<dyn ChildWatcher>) -> Self {
        self.child_watcher = Some(watcher);
        self
    }

    /// Starts the policy on its own threads, and returns when it is ready.
    ///
    /// If called in an actix System, the policy ends with that System, whose end waits until every
    /// child is gone. If called elsewhere, it ends with its last handle.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a bound is too small, [`Overflow::Spill`] has no directory, threads or
    /// descriptors are unavailable, no process can be launched here, the requested driver does not
    /// work, or the process-wide policy has no child watcher.
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
    /// Returns a builder with the default settings.
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
