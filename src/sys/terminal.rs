//! Pseudo-terminals, closed on exec from their creation.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
};
use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};

/// A terminal: the parent's side and the child's, `(controller, terminal)`, both blocking.
pub(crate) fn open(rows: u16, columns: u16, echo: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags)?;
    unlockpt(&controller)?;
    let terminal = ioctl_tiocgptpeer(&controller, flags)?;
    resize(&controller, rows, columns)?;
    if !echo {
        let mut modes = tcgetattr(&terminal)?;
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    }
    Ok((controller, terminal))
}

/// Sets the size; the terminal's foreground processes get `SIGWINCH` where it changes.
pub(crate) fn resize(controller: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(controller, size)?)
}

/// Reads what the terminal has to give, without waiting. The kernel hands over first what is still
/// on its way from the child's side.
pub(crate) fn read_now(controller: impl AsFd, into: &mut [u8]) -> Result<usize, Errno> {
    without_waiting(controller, |controller| nix::unistd::read(controller, into))
}

/// Writes as much as the terminal takes, without waiting.
pub(crate) fn write_now(controller: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    without_waiting(controller, |controller| nix::unistd::write(controller, bytes))
}

/// There is no flag of a call for this. Nobody else uses the descriptor meanwhile.
fn without_waiting<F: AsFd, R>(
    controller: F,
    call: impl FnOnce(&F) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let before = OFlag::from_bits_retain(fcntl(&controller, FcntlArg::F_GETFL)?);
    fcntl(&controller, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK))?;
    let result = call(&controller);
    fcntl(&controller, FcntlArg::F_SETFL(before))?;
    result
}
