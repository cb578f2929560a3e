//! Pseudo-terminals, closed on exec from their creation.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

use super::pipe;

/// A terminal `(controller, terminal)`: the parent's side, which never waits, and the child's.
pub(crate) fn open(rows: u16, columns: u16, echo: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags)?;
    unlockpt(&controller)?;
    let terminal = ioctl_tiocgptpeer(&controller, flags)?;
    pipe::set_nonblocking(&controller)?;
    resize(&controller, rows, columns)?;
    if !echo {
        let mut modes = tcgetattr(&terminal)?;
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    }
    Ok((controller, terminal))
}

/// Sets the size. The terminal's foreground processes get `SIGWINCH` if it changes.
pub(crate) fn resize(controller: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(controller, size)?)
}
