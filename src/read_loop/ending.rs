//! A child that is about to end: what the loop does in the moment before the exit record comes.

use std::{thread, time::Duration};

use super::core::Core;

/// Most children are reaped and reported this soon after they have closed their pipes.
const NEAR: Duration = Duration::from_micros(100);

/// With more children than this, the time is left to them.
const FEW: usize = 2;

impl Core {
    /// Whether an exit record is about to come. An ending child closes its pipes some microseconds
    /// before it can be reaped, and to sleep and be woken meanwhile takes longer than they do. So
    /// does the wake-up of its waiter: the loop is awake, and takes that one's step. Not with many
    /// children: they need the core themselves.
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
            // The child or its waiter may be waiting for this very core.
            thread::yield_now();
        }
        true
    }
}
