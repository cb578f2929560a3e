//! Reads the log in steps, from either end: each step takes a few turns under the lock, and the
//! work on them is done outside of it.

use smallvec::SmallVec;

use super::{
    MergedLog, TurnEntries,
    spans::{Body, Span},
};
use crate::{ChildId, Seq};

/// The spans that one step looks at.
const STEP: usize = 128;

/// A part of the log as one child's reader sees it.
#[derive(Clone, Debug)]
pub(crate) enum Stretch {
    /// Entries in memory, of every child.
    Turn(TurnEntries),
    /// Missing entries from this one on, some of which may be the child's.
    Hole(Seq),
}

/// Stretches in the order of the walk.
pub(crate) type Stretches = SmallVec<[Stretch; 16]>;

impl MergedLog {
    /// Returns the next stretches and moves `next` past them. Returns none at `end`.
    pub(crate) fn stretches_from(&self, child: ChildId, next: &mut Seq, end: Seq) -> Stretches {
        let mut stretches = Stretches::new();
        *next = (*next).max(self.start());
        let first = self.spans.covering(*next).map_or(*next, |span| span.first);
        for span in self.spans.from(first).take(STEP) {
            if *next >= end {
                break;
            }
            stretches.extend(stretch(child, span));
            *next = span.after;
        }
        if stretches.is_empty() && self.spans.covering(*next).is_none() {
            *next = end;
        }
        stretches
    }

    /// Returns the stretches before `before`, newest first, and the position where they begin. That
    /// is `None` if there is nothing before them.
    pub(crate) fn stretches_before(&self, child: ChildId, before: Seq) -> (Stretches, Option<Seq>) {
        let mut stretches = Stretches::new();
        let mut at = None;
        for span in self.spans.until(before).take(STEP) {
            stretches.extend(stretch(child, span));
            at = Some(span.first);
        }
        (stretches, at)
    }
}

fn stretch(child: ChildId, span: &Span) -> Option<Stretch> {
    match &span.body {
        Body::InMemory(turn) => Some(Stretch::Turn(TurnEntries::clone(turn))),
        Body::Dropped(of) if !of.includes(child) => None,
        Body::Dropped(_) | Body::OnDisk(_) => Some(Stretch::Hole(span.first)),
    }
}
