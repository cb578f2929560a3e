//! A child's last lines.

use super::Child;
use crate::log::{ChildLine, LastLines, Stretch};

impl Child {
    /// The last lines of the child, of both streams, as far as the log still holds them; the
    /// oldest first, and an unterminated last one too.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<ChildLine> {
        let mut last = LastLines::new(self.id(), count);
        let mut before = Some(self.link.log().end());
        while let Some(place) = before.filter(|_| last.more()) {
            let (stretches, at) = self.link.log().stretches_before(self.id(), place);
            before = at;
            let more = stretches.iter().all(|stretch| match stretch {
                Stretch::Turn(turn) => {
                    let before = turn.iter().rev().filter(|entry| entry.seq < place);
                    before.into_iter().all(|entry| last.take(entry))
                }
                // No line goes over what is missing.
                Stretch::Hole(at) => {
                    last.cut(*at);
                    true
                }
            });
            if !more {
                break;
            }
            self.link.shared_log().give_way();
        }
        last.finish()
    }
}
