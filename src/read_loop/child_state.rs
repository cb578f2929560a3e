//! One child as the read loop sees it: a pure state machine of its exit and its pipes.

/// A child's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The child's exit has not been recorded.
    Running,
    /// The child has ended. A descendant may still hold a pipe.
    Exited,
    /// The child has ended and all its pipes are at their end.
    Closed,
    /// Not a child but a pipe that children share: it never exits.
    Shared,
}

/// What happened to the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The waiter's record arrived, and the pipes were drained.
    ExitRecorded,
    /// One of the child's output pipes is at its end.
    PipeEnded,
}

/// The facts that an event makes true, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) exited: bool,
    pub(super) closed: bool,
}

/// The phase, and how many output pipes are still open.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChildState {
    phase: Phase,
    open: usize,
}

impl ChildState {
    pub(super) fn new(pipes: usize) -> Self {
        ChildState { phase: Phase::Running, open: pipes }
    }

    /// The state of a pipe that children share.
    pub(super) fn shared() -> Self {
        ChildState { phase: Phase::Shared, open: 1 }
    }

    pub(super) fn phase(self) -> Phase {
        self.phase
    }

    /// Applies an event. A second exit, or any event after `Closed`, changes nothing.
    pub(super) fn on(&mut self, event: Event) -> Outcome {
        match (self.phase, event) {
            (Phase::Running, Event::PipeEnded) => {
                self.open = self.open.saturating_sub(1);
                Outcome::default()
            }
            (Phase::Running, Event::ExitRecorded) => {
                let closed = self.open == 0;
                self.phase = if closed { Phase::Closed } else { Phase::Exited };
                Outcome { exited: true, closed }
            }
            (Phase::Exited, Event::PipeEnded) => {
                self.open = self.open.saturating_sub(1);
                let closed = self.open == 0;
                if closed {
                    self.phase = Phase::Closed;
                }
                Outcome { exited: false, closed }
            }
            (Phase::Shared, Event::PipeEnded) => {
                self.phase = Phase::Closed;
                Outcome { exited: false, closed: true }
            }
            (Phase::Shared, Event::ExitRecorded) => Outcome::default(),
            (Phase::Exited, Event::ExitRecorded) | (Phase::Closed, _) => Outcome::default(),
        }
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![Just(Event::ExitRecorded), Just(Event::PipeEnded)]
    }

    proptest! {
        #[test]
        fn one_exit_then_one_close_whatever_the_order(
            pipes in 0_usize..4,
            events in proptest::collection::vec(event(), 0..12),
        ) {
            let mut state = ChildState::new(pipes);
            let (mut exits, mut closes, mut ends, mut records) = (0, 0, 0, 0);
            for event in events {
                match event {
                    Event::ExitRecorded => records += 1,
                    Event::PipeEnded => ends += 1,
                }
                let outcome = state.on(event);
                exits += usize::from(outcome.exited);
                closes += usize::from(outcome.closed);
                prop_assert!(closes <= exits, "closed before the exit");
                prop_assert_eq!(exits, usize::from(records > 0));
                prop_assert_eq!(closes, usize::from(records > 0 && ends >= pipes));
            }
        }
    }
}
