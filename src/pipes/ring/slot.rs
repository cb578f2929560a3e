//! What one pipe on the ring is doing: a pure state machine of its read operations.

/// What is in flight for a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A multishot read.
    Cold,
    /// Nothing; it waits for the next turn to get a multishot read.
    ToCool,
    /// A multishot read that is being cancelled, for one-shot reads to follow.
    Heating,
    /// Nothing; it waits in the queue for its one-shot read.
    Queued,
    /// A one-shot read of a whole read buffer.
    Hot,
    /// A one-shot read of the exit record.
    Record,
    /// Nothing; the record's read is to be asked for again.
    ToRecord,
    /// Nothing; it waits to be resumed.
    Paused,
    /// A read that is being cancelled, for the pipe to wait until it is resumed.
    Pausing,
    /// The same, but it was resumed meanwhile.
    Resuming,
    /// A read that is being cancelled, for the pipe to be closed.
    Leaving,
}

/// How a completion left the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes came and the multishot read goes on.
    More,
    /// Bytes came, many, and the operation is over.
    Full,
    /// Bytes came, few, and the operation is over.
    Short,
    /// No buffer was free (or the operation was cancelled): nothing was read, and it is over.
    Over,
}

/// What to do next for the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: an operation is in flight.
    Wait,
    /// Cancel the operation in flight.
    Cancel,
    /// Ask for an operation in the next turn (`ToCool`, `ToRecord`), or queue for one (`Queued`).
    Ask,
    /// Close the pipe.
    Close,
}

/// A pipe with this many completions in one turn is hot.
const HOT: u8 = 8;

/// A hot pipe with this many short reads in a row is cold again.
const CALM: u8 = 3;

/// The mode, and what decides whether it changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    mode: Mode,
    turn: u32,
    hits: u8,
}

impl Reading {
    pub(super) fn output() -> Self {
        Reading { mode: Mode::ToCool, turn: 0, hits: 0 }
    }

    pub(super) fn record() -> Self {
        Reading { mode: Mode::ToRecord, turn: 0, hits: 0 }
    }

    pub(super) fn mode(self) -> Mode {
        self.mode
    }

    /// The operation that the pipe waited for was submitted.
    pub(super) fn submitted(&mut self) {
        match self.mode {
            Mode::ToCool => self.mode = Mode::Cold,
            Mode::Queued => self.mode = Mode::Hot,
            Mode::ToRecord => self.mode = Mode::Record,
            Mode::Cold | Mode::Heating | Mode::Hot | Mode::Record | Mode::Leaving => {}
            Mode::Paused | Mode::Pausing | Mode::Resuming => {}
        }
    }

    /// The driver is asked to let go of the pipe.
    pub(super) fn leave(&mut self) -> Next {
        match self.mode {
            Mode::ToCool | Mode::Queued | Mode::ToRecord | Mode::Paused => Next::Close,
            Mode::Cold | Mode::Hot | Mode::Record => {
                self.mode = Mode::Leaving;
                Next::Cancel
            }
            Mode::Heating | Mode::Pausing | Mode::Resuming | Mode::Leaving => {
                self.mode = Mode::Leaving;
                Next::Wait
            }
        }
    }

    /// The pipe is not to be read for a while. A record's read goes on.
    pub(super) fn pause(&mut self) -> Next {
        let (mode, next) = match self.mode {
            Mode::ToCool | Mode::Queued => (Mode::Paused, Next::Wait),
            Mode::Cold | Mode::Hot => (Mode::Pausing, Next::Cancel),
            Mode::Heating | Mode::Resuming => (Mode::Pausing, Next::Wait),
            mode @ (Mode::Paused
            | Mode::Pausing
            | Mode::Record
            | Mode::ToRecord
            | Mode::Leaving) => (mode, Next::Wait),
        };
        self.mode = mode;
        next
    }

    /// The pipe is to be read again.
    pub(super) fn resume(&mut self) -> Next {
        let (mode, next) = match self.mode {
            Mode::Paused => (Mode::ToCool, Next::Ask),
            Mode::Pausing => (Mode::Resuming, Next::Wait),
            mode => (mode, Next::Wait),
        };
        self.mode = mode;
        next
    }

    /// A completion came in turn number `turn`.
    pub(super) fn on(&mut self, event: Event, turn: u32) -> Next {
        let (mode, next) = match (self.mode, event) {
            (Mode::Cold, Event::More) if self.hit(turn) => (Mode::Heating, Next::Cancel),
            (Mode::Cold | Mode::Heating, Event::More) => (self.mode, Next::Wait),
            (Mode::Leaving | Mode::Pausing | Mode::Resuming, Event::More) => {
                (self.mode, Next::Wait)
            }
            (Mode::Pausing, _) => (Mode::Paused, Next::Wait),
            (Mode::Resuming, _) => (Mode::ToCool, Next::Ask),
            (Mode::Cold, Event::Full | Event::Short | Event::Over) => (Mode::ToCool, Next::Ask),
            (Mode::Heating, Event::Full | Event::Short | Event::Over) => {
                self.hits = 0;
                (Mode::Queued, Next::Ask)
            }
            (Mode::Hot, Event::Short) if self.calm() => (Mode::ToCool, Next::Ask),
            (Mode::Hot, Event::Full) => {
                self.hits = 0;
                (Mode::Queued, Next::Ask)
            }
            (Mode::Hot, _) => (Mode::Queued, Next::Ask),
            (Mode::Record, _) => (Mode::ToRecord, Next::Ask),
            (Mode::Leaving, _) => (Mode::Leaving, Next::Close),
            // Nothing is in flight in these modes, so nothing completes.
            (Mode::ToCool | Mode::Queued | Mode::ToRecord | Mode::Paused, _) => {
                (self.mode, Next::Wait)
            }
        };
        self.mode = mode;
        next
    }

    /// Counts a completion of this turn; true when it makes the pipe hot.
    fn hit(&mut self, turn: u32) -> bool {
        if self.turn != turn {
            (self.turn, self.hits) = (turn, 0);
        }
        self.hits += 1;
        self.hits >= HOT
    }

    /// Counts a short read; true when it makes the pipe cold.
    fn calm(&mut self) -> bool {
        self.hits += 1;
        let calm = self.hits >= CALM;
        if calm {
            self.hits = 0;
        }
        calm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(mut reading: Reading) -> Reading {
        reading.submitted();
        reading
    }

    #[test]
    fn a_flood_heats_a_pipe_and_three_short_reads_cool_it() {
        let mut pipe = submitted(Reading::output());
        for _ in 1..HOT {
            assert_eq!(pipe.on(Event::More, 1), Next::Wait);
        }
        assert_eq!(pipe.on(Event::More, 1), Next::Cancel);
        assert_eq!((pipe.on(Event::Over, 2), pipe.mode()), (Next::Ask, Mode::Queued));
        for (event, mode) in [
            (Event::Short, Mode::Queued),
            (Event::Full, Mode::Queued),
            (Event::Short, Mode::Queued),
            (Event::Short, Mode::Queued),
            (Event::Short, Mode::ToCool),
        ] {
            pipe.submitted();
            assert_eq!((pipe.on(event, 3), pipe.mode()), (Next::Ask, mode));
        }
    }

    #[test]
    fn a_paused_pipe_asks_for_nothing_until_it_is_resumed() {
        for (event, warm) in [(Event::Short, false), (Event::Over, true)] {
            let mut pipe = submitted(Reading::output());
            assert_eq!((pipe.pause(), pipe.pause()), (Next::Cancel, Next::Wait));
            if warm {
                // Resumed and paused again before the cancelled read came back.
                assert_eq!((pipe.resume(), pipe.pause()), (Next::Wait, Next::Wait));
            }
            assert_eq!((pipe.on(event, 1), pipe.mode()), (Next::Wait, Mode::Paused));
            assert_eq!((pipe.resume(), pipe.resume()), (Next::Ask, Next::Wait));
            assert_eq!(pipe.mode(), Mode::ToCool);
        }
        let mut pipe = submitted(Reading::output());
        assert_eq!((pipe.pause(), pipe.resume()), (Next::Cancel, Next::Wait));
        assert_eq!((pipe.on(Event::Over, 1), pipe.mode()), (Next::Ask, Mode::ToCool));
        assert_eq!((pipe.pause(), pipe.leave()), (Next::Wait, Next::Close));
    }

    #[test]
    fn a_pipe_that_leaves_is_closed_only_after_its_last_completion() {
        let mut pipe = submitted(Reading::output());
        assert_eq!(pipe.leave(), Next::Cancel);
        assert_eq!(pipe.on(Event::More, 1), Next::Wait);
        assert_eq!(pipe.on(Event::Over, 1), Next::Close);
        assert_eq!(Reading::output().leave(), Next::Close);
    }
}
