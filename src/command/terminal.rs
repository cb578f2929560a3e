//! `Terminal`: the pseudo-terminal that a child runs on.

/// A terminal for a child, for [`Command::terminal`](crate::Command::terminal): by default 24 rows
/// of 80 columns that echo what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Terminal {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) echo: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Terminal { rows: 24, columns: 80, echo: true }
    }
}

impl Terminal {
    /// Sets another size, in characters.
    pub fn size(mut self, rows: u16, columns: u16) -> Self {
        (self.rows, self.columns) = (rows, columns);
        self
    }

    /// Does not echo input to the output, until the child changes that.
    pub fn without_echo(mut self) -> Self {
        self.echo = false;
        self
    }
}
