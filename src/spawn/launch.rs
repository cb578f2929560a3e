//! The launch: from reserved descriptors to a running process with a pidfd.

use std::{io, os::fd::OwnedFd, thread, time::Duration};

use super::{by_std, image::Image, own::Own, pipes::ChildEnds};
use crate::{Command, SpawnStep};

/// Executing a file that another thread has just written can fail with ETXTBSY while a third one
/// is between fork and exec with the file open. It passes; the pauses double from one millisecond.
const BUSY_RETRIES: u32 = 7;

/// A process that runs its program.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) pid: i32,
    /// `None` where the process ended and something in this program reaped it before it could be
    /// had.
    pub(super) pidfd: Option<OwnedFd>,
}

pub(super) type Failure = (SpawnStep, io::Error);

/// What a spawn thread keeps from one launch to the next.
#[derive(Debug)]
pub(super) struct Launcher {
    /// `None` once the kernel or a sandbox has refused it.
    own: Option<Own>,
}

impl Launcher {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Launcher { own: Some(Own::new()?) })
    }

    /// Starts the process. The child's ends of the pipes are closed here when it returns.
    pub(super) fn launch(
        &mut self,
        command: &Command,
        ends: ChildEnds,
    ) -> Result<Launched, Failure> {
        let image = Image::of(command);
        let mut pauses = (0..BUSY_RETRIES).map(|retry| Duration::from_millis(1 << retry));
        loop {
            match (self.once(&image, &ends), pauses.next()) {
                (Err((_, error)), Some(pause)) if error.raw_os_error() == Some(libc::ETXTBSY) => {
                    thread::sleep(pause);
                }
                (done, _) => return done,
            }
        }
    }

    fn once(&mut self, image: &Image<'_>, ends: &ChildEnds) -> Result<Launched, Failure> {
        #[cfg(feature = "fault-injection")]
        if crate::supervise::fault_due(crate::supervise::Fault::SpawnByStd) {
            return by_std::launch(image, ends);
        }
        if let Some(own) = &mut self.own {
            if let Some(done) = own.launch(image, ends) {
                return done;
            }
            tracing::info!("clone3 is refused here: children are spawned by std::process");
            self.own = None;
        }
        by_std::launch(image, ends)
    }
}
