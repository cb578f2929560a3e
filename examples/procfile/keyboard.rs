//! The thread that reads what the user types. On a terminal it reads in the foreground only, where
//! the terminal is the tool's; it waits for that.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::Duration,
};

use actix::Recipient;
use actix_process::log::{LineEnd, Lines};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{getpgrp, isatty, read, tcgetpgrp},
};

use super::{request::Request, tool::Notes};

/// No longer line is a request. Of one over 4,095 bytes a terminal gives no more.
const LONGEST: usize = 4094;

/// Nothing tells when a shell brings the tool to the foreground.
const BACKGROUND: Duration = Duration::from_millis(200);

/// Starts the thread. It ends with the input, or with the program.
pub(crate) fn listen(requests: Recipient<Request>, notes: Notes) -> io::Result<()> {
    let listen = move || {
        let stdin = io::stdin();
        let terminal = isatty(stdin.as_fd()) == Ok(true);
        match take(stdin.as_fd(), terminal, &requests, &notes) {
            Ok(()) if terminal => notes.tell("the input has ended: no more commands are read"),
            Ok(()) => {}
            Err(error) => notes.tell(&format!("no more commands are read: {error}")),
        }
    };
    thread::Builder::new().name("keyboard".into()).spawn(listen)?;
    Ok(())
}

fn take(
    stdin: BorrowedFd<'_>,
    terminal: bool,
    requests: &Recipient<Request>,
    notes: &Notes,
) -> io::Result<()> {
    let mut lines = Lines::default().longest(LONGEST);
    let mut goes_on = false;
    let mut buffer = [0; 4096];
    loop {
        while terminal && in_background(stdin) {
            thread::sleep(BACKGROUND);
        }
        match poll(&mut [PollFd::new(stdin, PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if terminal && in_background(stdin) {
            continue;
        }
        match read(stdin, &mut buffer) {
            Ok(0) => {
                if let Some(line) = lines.finish().filter(|_| !goes_on) {
                    requests.do_send(Request(line.bytes.to_vec()));
                }
                return Ok(());
            }
            Ok(count) => lines.visit(&buffer[..count], |line, end| {
                let is_rest = std::mem::replace(&mut goes_on, end == LineEnd::Continues);
                match (is_rest, goes_on) {
                    (false, false) => requests.do_send(Request(line.to_vec())),
                    (false, true) => notes.tell("the line is too long: nothing of it is done"),
                    // It is no line of its own.
                    (true, _) => {}
                }
            }),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // In the background since the look.
            Err(Errno::EIO) if terminal && in_background(stdin) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the terminal is another group's now. A terminal that does not control the tool has no foreground.
fn in_background(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal).is_ok_and(|foreground| foreground != getpgrp())
}
