//! What the tools share: signals, output, the look of lines, job control, the way to the end.

mod end;
mod family;
mod line_parts;
mod notes;
mod paint;
mod printer;
mod processes;
mod roster;
mod session;
mod signals;
mod text;
mod write;

pub(crate) use end::{End, fail, print};
#[allow(unused_imports, reason = "not every tool looks at processes itself")]
pub(crate) use family::{Family, command};
pub(crate) use notes::Notes;
pub(crate) use printer::{Known, Printer, Say};
#[allow(unused_imports, reason = "not every tool looks at processes itself")]
pub(crate) use processes::{Process, named};
pub(crate) use roster::Roster;
pub(crate) use session::{Session, run};
pub(crate) use signals::GRACE;
pub(crate) use text::{fitted, visible};
