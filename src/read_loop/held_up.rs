//! `HeldUp`: how long a reader has held up the reading of all pipes. Warns once if that is long.

use std::time::{Duration, Instant};

use super::core::Core;
use crate::{log::CursorId, restart::trace};

/// Shorter waits are normal and cause no warning.
const LONG: Duration = Duration::from_secs(1);

/// Reading waits for a reader that is a whole log behind.
#[derive(Debug)]
pub(super) struct HeldUp {
    since: Instant,
    by: Option<CursorId>,
    told: bool,
}

impl Core {
    /// Records whether reading waits for room.
    pub(super) fn note_pause(&mut self, paused: bool) {
        match (&mut self.held_up, paused) {
            (None, false) => {}
            (None, true) => {
                let by = self.link.log().slowest();
                self.held_up = Some(HeldUp { since: Instant::now(), by, told: false });
                trace::info!("reading pauses: the slowest lossless reader is a whole log behind");
            }
            (Some(_), true) => self.tell_long_pause(),
            (Some(_), false) => {
                self.tell_long_pause();
                self.held_up = None;
                trace::info!("reading resumes");
            }
        }
    }

    fn tell_long_pause(&mut self) {
        let Some(held_up) = self.held_up.as_mut().filter(|it| !it.told) else { return };
        let age = held_up.since.elapsed();
        if age < LONG {
            return;
        }
        held_up.told = true;
        let subscription = held_up.by.and_then(|by| self.publisher.subscription_of(by));
        let reader = match subscription {
            Some(subscription) => format!("{subscription:?}"),
            None => "a `LogReader`".to_owned(),
        };
        trace::warn!(?age, reader, "a reader holds up the reading of all children");
    }
}
