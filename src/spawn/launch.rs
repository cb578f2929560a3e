//! The launch: from reserved descriptors to a running process, by `posix_spawn`.

use std::{io, os::unix::process::CommandExt, process, thread, time::Duration};

use super::{pipes::ChildEnds, search::search};
use crate::{Command, ProcessGroup, SpawnStep, Stdin, command::EnvChange, sys};

/// Executing a file that another thread has just written can fail with ETXTBSY while a third one
/// is between fork and exec with the file open. It passes; the pauses double from one millisecond.
const BUSY_RETRIES: u32 = 7;

/// Starts the process. The child's ends of the pipes are closed here when it returns.
///
/// `std::process::Command` is used, which takes the `posix_spawn` path (a vfork, whatever the
/// parent's size) as long as nothing is asked for that needs a fork; nothing here is.
pub(super) fn launch(
    command: &Command,
    ends: ChildEnds,
) -> Result<process::Child, (SpawnStep, io::Error)> {
    let stdin = stdin(&command.stdin).map_err(|error| (SpawnStep::PrepareStdin, error))?;
    let mut std = prepared(command);
    std.stdin(stdin).stdout(ends.stdout).stderr(ends.stderr);
    let mut pauses = (0..BUSY_RETRIES).map(|retry| Duration::from_millis(1 << retry));
    loop {
        match (std.spawn(), pauses.next()) {
            (Err(error), Some(pause)) if error.raw_os_error() == Some(libc::ETXTBSY) => {
                thread::sleep(pause);
            }
            (done, _) => return done.map_err(|error| (step_of(command, &error), error)),
        }
    }
}

fn stdin(stdin: &Stdin) -> io::Result<process::Stdio> {
    Ok(match stdin {
        Stdin::Null => process::Stdio::null(),
        Stdin::Inherit => process::Stdio::inherit(),
        Stdin::Bytes(bytes) => sys::stdin_file::holding(bytes)?.into(),
    })
}

fn prepared(command: &Command) -> process::Command {
    let found = search(command);
    let mut std = process::Command::new(
        found.as_ref().map_or(command.program.as_os_str(), |path| path.as_os_str()),
    );
    std.args(&command.args);
    match (&command.arg0, &found) {
        (Some(name), _) => drop(std.arg0(name)),
        (None, Some(_)) => drop(std.arg0(&command.program)),
        (None, None) => {}
    }
    if command.env_clear {
        std.env_clear();
    }
    for change in &command.env {
        match change {
            EnvChange::Set(key, value) => std.env(key, value),
            EnvChange::Remove(key) => std.env_remove(key),
        };
    }
    if let Some(dir) = &command.current_dir {
        std.current_dir(dir);
    }
    match command.group {
        ProcessGroup::Inherit => {}
        ProcessGroup::Own => drop(std.process_group(0)),
        ProcessGroup::Join(group) => drop(std.process_group(group)),
    }
    std
}

/// Which step an error was made in. `posix_spawn` gives one number for all that the new process
/// does before it runs the program, so this looks at what was asked for.
fn step_of(command: &Command, error: &io::Error) -> SpawnStep {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM) => SpawnStep::CreateProcess,
        Some(libc::EMFILE | libc::ENFILE) => SpawnStep::ReserveDescriptors,
        _ => match &command.current_dir {
            Some(dir)
                if nix::unistd::access(dir, nix::unistd::AccessFlags::X_OK).is_err()
                    || !dir.is_dir() =>
            {
                SpawnStep::EnterDirectory
            }
            _ => SpawnStep::Execute,
        },
    }
}
