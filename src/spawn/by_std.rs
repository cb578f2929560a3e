//! The launch by `std::process`, where the crate's own is refused: by a sandbox, an old kernel, or
//! another architecture. std takes the `posix_spawn` path (a vfork, whatever the parent's size) as
//! long as nothing is asked for that needs a fork; nothing here is.

use std::{
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process,
    process::Stdio,
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, access},
};

use super::{
    image::Image,
    launch::{Failure, Launched},
    pipes::{ChildEnd, ChildEnds},
};
use crate::{SpawnStep, sys::pidfd};

/// Starts the process, and opens its pidfd.
pub(super) fn launch(image: &Image<'_>, ends: &ChildEnds) -> Result<Launched, Failure> {
    let descriptors = |error| (SpawnStep::ReserveDescriptors, error);
    // Both would need a fork, and code of ours between that and the exec.
    let refused = |what| {
        let error = format!("{what} needs clone3, which is refused here");
        io::Error::new(io::ErrorKind::Unsupported, error)
    };
    if !ends.extra.is_empty() {
        return Err(descriptors(refused("an extra descriptor")));
    }
    if image.command.terminal.is_some() {
        return Err((SpawnStep::OpenTerminal, refused("a terminal")));
    }
    // Holds a place in the descriptor table for the pidfd, which can be had only afterwards.
    let reserved = io::pipe().map_err(descriptors)?;
    let program = program(image).map_err(|errno| (SpawnStep::Execute, errno.into()))?;
    let mut std = prepared(image, program);
    std.stdin(stdio(&ends.stdin).map_err(descriptors)?);
    std.stdout(stdio(&ends.stdout).map_err(descriptors)?);
    std.stderr(stdio(&ends.stderr).map_err(descriptors)?);
    let mut process = std.spawn().map_err(|error| (step_of(image, &error), error))?;
    drop((std, reserved));
    let pid = process.id().cast_signed();
    match pidfd::open(pid) {
        Ok(pidfd) => Ok(Launched { pid, pidfd: Some(pidfd) }),
        // It has ended, and something in this program has reaped it already.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            Ok(Launched { pid, pidfd: None })
        }
        Err(error) => {
            // Nobody else knows the process, so its PID is its own.
            if let Err(error) = process.kill().and_then(|()| process.wait()) {
                tracing::warn!(pid, %error, "an unwatched child may not be reaped");
            }
            Err((SpawnStep::Watch, error))
        }
    }
}

fn stdio(end: &ChildEnd) -> io::Result<Stdio> {
    Ok(match end {
        ChildEnd::Inherit => Stdio::inherit(),
        ChildEnd::Null => Stdio::null(),
        ChildEnd::Own(end) => end.try_clone()?.into(),
    })
}

/// The path of the program: std looks a bare name up in the parent's `PATH`, or forks to do it in
/// another one.
fn program<'a>(image: &'a Image<'_>) -> Result<&'a Path, Errno> {
    if let [path] = &image.candidates[..] {
        return Ok(path);
    }
    let runs = |path: &&PathBuf| path.is_file() && access(*path, AccessFlags::X_OK).is_ok();
    let found = image.candidates.iter().find(runs).map(PathBuf::as_path);
    let denied = || image.candidates.iter().any(|path| path.is_file());
    found.ok_or_else(|| if denied() { Errno::EACCES } else { Errno::ENOENT })
}

fn prepared(image: &Image<'_>, program: &Path) -> process::Command {
    let command = image.command;
    let mut std = process::Command::new(program);
    std.args(&command.args).arg0(command.arg0.as_ref().unwrap_or(&command.program));
    std.env_clear().envs(image.environment.iter().map(|(key, value)| (key, value)));
    if let Some(directory) = &command.current_dir {
        std.current_dir(directory);
    }
    if let Some(group) = image.group() {
        std.process_group(group);
    }
    std
}

/// Which step an error was made in. `posix_spawn` gives one number for all that the new process
/// does before it runs the program, so this looks at what was asked for.
fn step_of(image: &Image<'_>, error: &io::Error) -> SpawnStep {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    match (errno, &image.command.current_dir) {
        (Errno::EAGAIN | Errno::ENOMEM, _) => SpawnStep::CreateProcess,
        (Errno::EMFILE | Errno::ENFILE, _) => SpawnStep::ReserveDescriptors,
        (Errno::EPERM | Errno::ESRCH, _) if image.group().is_some() => SpawnStep::JoinGroup,
        (_, Some(directory))
            if !directory.is_dir() || access(directory, AccessFlags::X_OK).is_err() =>
        {
            SpawnStep::EnterDirectory
        }
        _ => SpawnStep::Execute,
    }
}
