//! `Needs`: the positions of the lossless cursors, kept so that the first one is found at once.

use std::collections::BTreeMap;

use crate::Seq;

/// How many lossless cursors are at each position.
#[derive(Debug, Default)]
pub(super) struct Needs(BTreeMap<Seq, usize>);

impl Needs {
    pub(super) fn first(&self) -> Option<Seq> {
        self.0.first_key_value().map(|(place, _)| *place)
    }

    pub(super) fn add(&mut self, place: Seq) {
        *self.0.entry(place).or_default() += 1;
    }

    pub(super) fn remove(&mut self, place: Seq) {
        if let Some(count) = self.0.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&place);
            }
        }
    }
}
