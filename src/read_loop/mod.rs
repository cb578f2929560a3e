//! The read loop: one thread that reads every pipe, fixes the order, and notifies the subscribers.

mod child_state;
mod children;
mod commands;
mod core;
mod deliver;
mod drain;
mod ending;
mod exits;
mod hand_over;
mod held_up;
mod input;
mod mailbox;
mod publish;
mod state_manager;
mod terminal;

pub(crate) use commands::{Extras, LoopCommand, Registration, TerminalAction};
pub(crate) use mailbox::Mailbox;
pub(crate) use state_manager::{Run, StateManager};
