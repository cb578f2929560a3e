//! How a line looks: its prefix, its colour, what is shown of its text.

use std::{env, ffi::OsStr};

use actix_process::ChildExited;

use super::{
    text::{CUT, Look, padded, show},
    write::Stream,
};

/// Foreground colours that show on light and dark.
const COLOURS: [u8; 6] = [36, 32, 33, 35, 34, 31];

/// How standard output is written to.
pub(crate) fn look_of_output() -> Look {
    let terminal = Stream::Output.is_terminal();
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let is = |name: &str, value: &str| set(name).is_some_and(|it| it == OsStr::new(value));
    // By no-color.org and bixense.com/clicolors.
    let colour = if set("NO_COLOR").is_some() {
        false
    } else if set("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") {
        true
    } else {
        terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
    };
    Look { colour, terminal }
}

/// An exit in words.
pub(crate) fn ending(exit: &ChildExited) -> String {
    format!(
        "{}, wall {:.3} s, CPU {:.3} s, peak {:.1} MiB",
        exit.status,
        exit.wall_time.as_secs_f64(),
        exit.usage.cpu_time().as_secs_f64(),
        exit.usage.peak_memory_kib as f64 / 1024.0,
    )
}

/// The looks of all names.
pub(crate) struct Paint {
    names: Vec<String>,
    look: Look,
}

impl Paint {
    pub(crate) fn new(names: &[String]) -> Self {
        use unicode_width::UnicodeWidthStr;
        let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let names = names.iter().map(|name| padded(name, width)).collect();
        Paint { names, look: look_of_output() }
    }

    /// Adds the line of this name.
    pub(crate) fn line(&self, out: &mut Vec<u8>, name: usize, mark: char, text: &[u8], cut: bool) {
        self.prefix(out, name, mark);
        show(out, text, self.look);
        if cut {
            out.extend_from_slice(CUT.as_bytes());
        }
        out.push(b'\n');
    }

    /// Attributes begin and end here, whatever else wrote to the terminal.
    fn prefix(&self, out: &mut Vec<u8>, name: usize, mark: char) {
        let (start, end) = if self.look.colour {
            (format!("\x1b[0;{}m", COLOURS[name % COLOURS.len()]), "\x1b[0m")
        } else {
            (String::new(), "")
        };
        out.extend_from_slice(format!("{start}{} {mark}{end} ", self.names[name]).as_bytes());
    }
}
