//! How a line of a child looks: its prefix, its colour, its exit.

use std::io::{self, IsTerminal, Write};

use actix_process::ChildExited;

/// Foreground colours that show on light and dark.
pub(crate) const COLOURS: [u8; 6] = [36, 32, 33, 35, 34, 31];

/// Whether standard output takes colours.
pub(crate) fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
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

/// A child's prefix and its colour.
pub(crate) struct Paint {
    pub(crate) name: String,
    pub(crate) colour: Option<u8>,
}

impl Paint {
    pub(crate) fn line(
        &self,
        out: &mut (impl Write + ?Sized),
        mark: char,
        text: &[u8],
    ) -> io::Result<()> {
        let (start, end) = match self.colour {
            Some(colour) => (format!("\x1b[{colour}m"), "\x1b[0m"),
            None => (String::new(), ""),
        };
        write!(out, "{start}{} {mark}{end} ", self.name)?;
        out.write_all(text)?;
        out.write_all(b"\n")
    }
}
