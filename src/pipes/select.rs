//! Chooses the driver: by force, by environment, or by what works here.

use std::io;

use super::{PipeDriver, sweep::Sweep};
use crate::{StartError, restart::trace};

/// The variable that forces a driver.
const VARIABLE: &str = "ACTIX_PROCESS_DRIVER";

/// A back-end that reads pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring. Linux 6.7 or newer, if the kernel (or a container's filter) lets it be used.
    Ring,
    /// Adaptive non-blocking sweeps. Any Unix; a quiet pipe is found up to 50 ms late.
    Sweep,
}

impl Driver {
    /// The name, as `ACTIX_PROCESS_DRIVER` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Driver::Ring => "ring",
            Driver::Sweep => "sweep",
        }
    }
}

/// The driver that the environment forces, if any.
pub(crate) fn from_environment() -> Result<Option<Driver>, StartError> {
    let Some(value) = std::env::var_os(VARIABLE) else { return Ok(None) };
    match value.to_str() {
        Some("") => Ok(None),
        Some("ring") => Ok(Some(Driver::Ring)),
        Some("sweep") => Ok(Some(Driver::Sweep)),
        _ => Err(StartError::UnknownDriver(value.to_string_lossy().into_owned())),
    }
}

/// Makes the forced driver, or the best one that works, for the thread that calls this.
pub(crate) fn choose(forced: Option<Driver>) -> Result<(Driver, Box<dyn PipeDriver>), StartError> {
    match forced {
        Some(Driver::Sweep) => Ok((Driver::Sweep, fallback())),
        Some(Driver::Ring) => match ring() {
            Ok(ring) => Ok((Driver::Ring, ring)),
            Err(source) => Err(StartError::Driver { driver: Driver::Ring.name(), source }),
        },
        None => match ring() {
            Ok(ring) => Ok((Driver::Ring, ring)),
            Err(reason) => {
                trace::info!(%reason, "io_uring cannot be used here: sweeping the pipes instead");
                Ok((Driver::Sweep, fallback()))
            }
        },
    }
}

/// The driver that works everywhere, for the thread that calls this.
pub(crate) fn fallback() -> Box<dyn PipeDriver> {
    Box::new(Sweep::new())
}

#[cfg(target_os = "linux")]
fn ring() -> io::Result<Box<dyn PipeDriver>> {
    Ok(Box::new(super::ring::make()?))
}

#[cfg(not(target_os = "linux"))]
fn ring() -> io::Result<Box<dyn PipeDriver>> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
