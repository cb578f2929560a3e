//! `PolicyBuilder`: the settings of a policy.

use std::time::Duration;

use super::{Policy, PolicyHandle, host};
use crate::{Driver, Intensity, StartError, pipes};

/// The least that the log can be bound to: below it large reads would find no room.
const LEAST_BOUND: u64 = 256 * 1024;

/// Sets a policy up. Made by [`Policy::builder`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PolicyBuilder {
    pub(super) log_bound: u64,
    pub(super) driver: Option<Driver>,
    pub(super) grace: Duration,
    pub(super) intensity: Intensity,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        PolicyBuilder {
            log_bound: 8 * 1024 * 1024,
            driver: None,
            grace: Duration::from_secs(5),
            intensity: Intensity::default(),
        }
    }
}

impl PolicyBuilder {
    /// How many bytes the merged log holds, 8 MiB by default, 256 KiB at least. When a lossless
    /// reader is that much behind, reading pauses; without one, the oldest entries are dropped.
    /// The rest of a child that ends is always read: up to one full pipe of it comes on top.
    pub fn log_bound(mut self, bytes: u64) -> Self {
        self.log_bound = bytes.max(LEAST_BOUND);
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

    /// Starts the policy on threads of its own, and returns when it is ready.
    ///
    /// Called in an actix System, the policy ends with it: the System's end waits until every
    /// child is gone. Called elsewhere, it ends with its last handle.
    ///
    /// # Errors
    ///
    /// [`StartError`] where threads cannot be made, or the driver that was asked for does not work.
    pub fn start(mut self) -> Result<PolicyHandle, StartError> {
        if self.driver.is_none() {
            self.driver = pipes::from_environment()?;
        }
        host::start(self)
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
