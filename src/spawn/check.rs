//! Checks a command before any resource is made for it.

use std::{
    ffi::OsStr,
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt,
};

use crate::{Command, ProcessGroup, command::EnvChange};

/// The kernel's limit (`fs.nr_open`) cannot be set higher.
const HIGHEST: i32 = 1 << 30;

/// Refuses commands that the kernel could never run.
pub(super) fn check(command: &Command) -> io::Result<()> {
    if command.program.is_empty() {
        return Err(invalid("the program's name is empty"));
    }
    whole(&command.program, "the program's name")?;
    for arg in command.args.iter().chain(&command.arg0) {
        whole(arg, "an argument")?;
    }
    for change in &command.env {
        whole(change.key(), "a variable's name")?;
        if change.key().is_empty() || change.key().as_bytes().contains(&b'=') {
            return Err(invalid("a variable's name is empty or has a `=` in it"));
        }
        if let EnvChange::Set(_, value) = change {
            whole(value, "a variable's value")?;
        }
    }
    if let Some(dir) = &command.current_dir {
        whole(dir.as_os_str(), "the working directory's name")?;
    }
    if command.terminal.is_some() && matches!(command.group, ProcessGroup::Join(_)) {
        return Err(invalid("a child on a terminal leads a process group of its own"));
    }
    if matches!(command.group, ProcessGroup::Join(group) if group <= 0) {
        return Err(invalid("the process group to join is not a positive number"));
    }
    if command.share.is_some_and(|share| share.bytes == 0) {
        return Err(invalid("the share of the log is 0 bytes"));
    }
    for (place, (number, _)) in command.extra.iter().enumerate() {
        if *number < 3 {
            return Err(invalid("an extra descriptor's number is that of a standard stream"));
        }
        if *number > HIGHEST {
            return Err(invalid("an extra descriptor's number is higher than any can be"));
        }
        if command.extra[..place].iter().any(|(other, _)| other == number) {
            return Err(invalid("two extra descriptors have the same number"));
        }
    }
    Ok(())
}

fn whole(text: &OsStr, what: &str) -> io::Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(invalid(&format!("{what} has a NUL byte in it")));
    }
    Ok(())
}

pub(super) fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}
