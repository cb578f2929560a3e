//! The crate's own launch: everything is laid out here, and `sys::vfork` makes the process.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
};

use nix::errno::Errno;

use super::{
    image::Image,
    launch::{Failure, Launched},
    pipes::{ChildEnd, ChildEnds},
};
use crate::{
    SpawnStep,
    sys::{
        pidfd,
        vfork::{Birth, BirthStep, CStrings, NoBirth, Stack, bear},
    },
};

/// What the launches of one thread share.
#[derive(Debug)]
pub(super) struct Own {
    stack: Stack,
    null: OwnedFd,
}

impl Own {
    pub(super) fn new() -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Own { stack: Stack::new(), null: null.into() })
    }

    /// Starts the process; `None` where the kernel or a sandbox has no such call for us.
    pub(super) fn launch(
        &mut self,
        image: &Image<'_>,
        ends: &ChildEnds,
    ) -> Option<Result<Launched, Failure>> {
        let command = image.command;
        let directory = match &command.current_dir {
            None => None,
            Some(path) => match CString::new(path.as_os_str().as_bytes()) {
                Ok(path) => Some(path),
                Err(error) => return Some(Err((SpawnStep::EnterDirectory, error.into()))),
            },
        };
        let programs = CStrings::new(
            image.candidates.iter().map(|path| [path.as_os_str().as_bytes(), b"", b""]),
        );
        let name = command.arg0.as_ref().unwrap_or(&command.program);
        let arguments = std::iter::once(name).chain(&command.args);
        let variables = image.environment.iter();
        let variables = variables.map(|(key, value)| [key.as_bytes(), &b"="[..], value.as_bytes()]);
        let mut birth = Birth {
            group: image.group(),
            terminal: command.terminal.is_some(),
            directory: directory.as_deref(),
            descriptors: descriptors(self.null.as_fd(), ends),
            programs: &programs,
            arguments: &CStrings::new(arguments.map(|text| [text.as_bytes(), b"", b""])),
            environment: &CStrings::new(variables),
        };
        match bear(&mut self.stack, &mut birth) {
            Ok((pid, pidfd)) => Some(Ok(Launched { pid, pidfd: Some(pidfd) })),
            Err(NoBirth::NotCreated(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM)) => None,
            Err(NoBirth::NotCreated(errno)) => Some(Err((not_created(errno), errno.into()))),
            Err(NoBirth::Failed(step, error, pidfd)) => {
                pidfd::discard(pidfd);
                Some(Err((spawn_step(step), error)))
            }
        }
    }
}

/// The standard streams that are not inherited and the extra descriptors, with their numbers.
fn descriptors<'a>(null: BorrowedFd<'a>, given: &'a ChildEnds) -> Vec<(BorrowedFd<'a>, RawFd)> {
    let ends = [&given.stdin, &given.stdout, &given.stderr].into_iter();
    let extra = given.extra.iter().map(|(number, end)| (end.as_fd(), *number));
    let placed = ends.zip(0..).filter_map(|(end, number)| match end {
        ChildEnd::Inherit => None,
        ChildEnd::Null => Some((null, number)),
        ChildEnd::Own(end) => Some((end.as_fd(), number)),
    });
    placed.chain(extra).collect()
}

fn not_created(errno: Errno) -> SpawnStep {
    match errno {
        // For the pidfd.
        Errno::EMFILE | Errno::ENFILE => SpawnStep::ReserveDescriptors,
        _ => SpawnStep::CreateProcess,
    }
}

fn spawn_step(step: BirthStep) -> SpawnStep {
    match step {
        BirthStep::JoinGroup => SpawnStep::JoinGroup,
        BirthStep::TakeTerminal => SpawnStep::OpenTerminal,
        BirthStep::EnterDirectory => SpawnStep::EnterDirectory,
        BirthStep::PlaceDescriptors => SpawnStep::ReserveDescriptors,
        BirthStep::Execute => SpawnStep::Execute,
    }
}
