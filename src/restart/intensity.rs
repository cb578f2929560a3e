//! Restart intensity and back-off: pure; the caller passes the time in.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many restarts are allowed within which time: OTP's rule for supervisors (`intensity` and
/// `period`). After one more, the policy shuts down and says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts that are allowed within `window`.
    pub restarts: usize,
    /// The window in which they are counted.
    pub window: Duration,
}

impl Default for Intensity {
    /// Ten restarts in ten seconds.
    fn default() -> Self {
        Intensity { restarts: 10, window: Duration::from_secs(10) }
    }
}

/// The first restart within a window comes at once, the second after this time, and each later one
/// after twice the time of the one before.
const BACK_OFF: Duration = Duration::from_millis(5);

/// The longest back-off.
const LONGEST: Duration = Duration::from_secs(1);

/// What to do about a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Restart after this time.
    Restart(Duration),
    /// Give up; the window held this many panics.
    GiveUp(usize),
}

/// The panics of a window.
#[derive(Debug)]
pub(crate) struct Restarts {
    intensity: Intensity,
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Restarts { intensity, recent: VecDeque::new() }
    }

    pub(crate) fn window(&self) -> Duration {
        self.intensity.window
    }

    /// Records a panic at `now`, which is not before the last one.
    pub(crate) fn panicked(&mut self, now: Instant) -> Verdict {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|&at| now - at > self.intensity.window) {
            self.recent.pop_front();
        }
        let panics = self.recent.len();
        if panics > self.intensity.restarts {
            return Verdict::GiveUp(panics);
        }
        Verdict::Restart(match panics {
            0 | 1 => Duration::ZERO,
            more => BACK_OFF.saturating_mul(1 << (more - 2).min(10)).min(LONGEST),
        })
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_up_exactly_when_a_window_holds_more_than_the_intensity(
            restarts in 0_usize..6,
            steps in proptest::collection::vec(0_u64..3_000, 1..40),
        ) {
            let window = Duration::from_secs(2);
            let mut counted = Restarts::new(Intensity { restarts, window });
            let start = Instant::now();
            let mut times = Vec::new();
            let mut now = start;
            for step in steps {
                now += Duration::from_millis(step);
                times.push(now);
                let within = times.iter().filter(|&&at| now - at <= window).count();
                match counted.panicked(now) {
                    Verdict::GiveUp(panics) => {
                        prop_assert_eq!(panics, within);
                        prop_assert!(within > restarts);
                        break;
                    }
                    Verdict::Restart(pause) => {
                        prop_assert!(within <= restarts);
                        prop_assert_eq!(pause.is_zero(), within == 1);
                        prop_assert!(pause <= LONGEST);
                    }
                }
            }
        }
    }
}
