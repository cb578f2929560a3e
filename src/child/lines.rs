//! A child's lines: live, and the last ones.

use std::{collections::VecDeque, sync::Arc};

use futures_core::Stream;

use super::Child;
use crate::{
    Fact, Start,
    log::{ChildLine, ChildLines, LastLines, LogReader, Stretch},
};

impl Child {
    /// The lines of all the child's streams, from the first one that the log still holds. The
    /// stream ends when every pipe of the child is closed, or with the policy. It loses no line and
    /// holds the log up, so read on or drop it. A new line begins after a gap.
    ///
    /// ```
    /// # use actix_process::{Command, Policy};
    /// # use futures::StreamExt;
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let child = policy.spawn(Command::shell("echo one; echo two")).await?;
    /// let lines: Vec<_> = child.lines().map(|it| it.line.text().into_owned()).collect().await;
    /// assert_eq!(lines, ["one", "two"]);
    /// # policy.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn lines(&self) -> impl Stream<Item = ChildLine> + use<> {
        let (id, cell) = (self.id(), Arc::clone(self.cell()));
        let reading = Reading {
            reader: LogReader::open(Arc::clone(self.link.shared_log()), Start::Beginning),
            lines: ChildLines::default(),
            ready: VecDeque::new(),
            ended: false,
        };
        futures_util::stream::unfold(reading, move |mut reading| {
            let cell = Arc::clone(&cell);
            async move {
                loop {
                    if let Some(line) = reading.ready.pop_front() {
                        return Some((line, reading));
                    }
                    if reading.ended {
                        return None;
                    }
                    let batch = reading.reader.next().await?;
                    if let Some(gap) = batch.gap().filter(|gap| gap.concerns(id)) {
                        // No line continues across a gap, and the child's end may be in the gap.
                        reading.lines = ChildLines::default();
                        reading.ended =
                            matches!(cell.closed.get(), Some(Ok(closed)) if *closed <= gap.last);
                    }
                    for entry in batch.entries().filter(|entry| entry.child == id) {
                        reading.lines.push(&entry.fact, |line| reading.ready.push_back(line));
                        reading.ended |= matches!(entry.fact, Fact::Closed);
                    }
                }
            }
        })
    }

    /// The last lines of the child, of all its streams, as far as the log still holds them. Oldest
    /// first, with an unterminated last line.
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
                // No line continues across a hole.
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

struct Reading {
    reader: LogReader,
    lines: ChildLines,
    ready: VecDeque<ChildLine>,
    ended: bool,
}
