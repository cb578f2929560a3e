//! What the tools share: signals, output, the look of lines, job control, the way to the end.

mod end;
mod groups;
mod line_parts;
mod notes;
mod paint;
mod printer;
mod roster;
mod session;
mod signals;
mod text;
mod write;

pub(crate) use end::{End, fail, print};
#[allow(unused_imports, reason = "not every tool looks into the groups itself")]
pub(crate) use groups::{Process, is_empty, members, named};
pub(crate) use notes::Notes;
pub(crate) use printer::{Known, Printer, Say};
pub(crate) use roster::Roster;
pub(crate) use session::{Session, run};
pub(crate) use signals::GRACE;
pub(crate) use text::{fitted, visible};
