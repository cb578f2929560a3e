//! A child that is about to end: what the loop does just before the exit record comes.

use std::{thread, time::Duration};

use super::core::Core;

/// Most children are reaped and reported this soon after closing their pipes.
const NEAR: Duration = Duration::from_micros(100);

/// With more children than this, the loop does not use the core: the children need it.
const FEW: usize = 2;

impl Core {
    /// Whether an exit record is about to come. An ending child closes its pipes some microseconds
    /// before it can be reaped: less time than it takes to sleep and wake, or to wake its waiter.
    /// So the loop stays awake and takes the waiter's step. Not with many children: they need the
    /// core themselves.
    pub(super) fn exit_is_near(&mut self) -> bool {
        let Some((child, _)) = self.ending.filter(|(_, since)| since.elapsed() < NEAR) else {
            return false;
        };
        if self.children.len() > FEW {
            return false;
        }
        let process = self.children.get(&child).and_then(|entry| entry.process.as_ref());
        if process.is_some_and(|process| process.try_reap()) {
            self.reaped = Some(child);
        } else {
            // The child or its waiter may be waiting for this core.
            thread::yield_now();
        }
        true
    }
}
