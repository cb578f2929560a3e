//! The launch: from reserved descriptors to a running process with its pidfd.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use nix::errno::Errno;

use super::{
    image::Image,
    interpreter::missing_interpreter,
    pipes::{ChildEnd, ChildEnds},
};
use crate::{
    Command, SpawnStep,
    sys::{
        clone::{self, NotLaunched, Stack, UnderWay, Way},
        exec::{Birth, BirthStep, CStrings, ShellArguments},
    },
};

/// Executing a file that another thread has just written can fail with ETXTBSY while a third thread
/// is between fork and exec with the file open. So retry; the pauses double from one millisecond.
const BUSY_RETRIES: u32 = 7;

/// A process that runs its program.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

pub(super) type Failure = (SpawnStep, io::Error);

/// What a spawn thread reuses for each launch.
#[derive(Debug)]
pub(super) struct Launcher {
    stack: Stack,
    null: OwnedFd,
    /// The launch under way, visible to other threads.
    under_way: Arc<UnderWay>,
}

impl Launcher {
    pub(super) fn new(under_way: Arc<UnderWay>) -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Launcher { stack: Stack::new(), null: null.into(), under_way })
    }

    /// Starts the process. The child's pipe ends in this process are closed when it returns.
    pub(super) fn launch(
        &mut self,
        command: &Command,
        ends: ChildEnds,
    ) -> Result<Launched, Failure> {
        let image = Image::of(command);
        let mut pauses = (0..BUSY_RETRIES).map(|retry| Duration::from_millis(1 << retry));
        loop {
            match (self.once(&image, &ends), pauses.next()) {
                (Err((_, error)), Some(pause)) if error.raw_os_error() == Some(libc::ETXTBSY) => {
                    thread::sleep(pause);
                }
                (done, _) => return done,
            }
        }
    }

    fn once(&mut self, image: &Image<'_>, ends: &ChildEnds) -> Result<Launched, Failure> {
        let command = image.command;
        let directory = match &command.current_dir {
            None => None,
            Some(path) => match CString::new(path.as_os_str().as_bytes()) {
                Ok(path) => Some(path),
                Err(error) => return Err((SpawnStep::EnterDirectory, error.into())),
            },
        };
        let programs = CStrings::new(
            image.candidates.iter().map(|path| [path.as_os_str().as_bytes(), b"", b""]),
        );
        let name = command.arg0.as_ref().unwrap_or(&command.program);
        let arguments = std::iter::once(name).chain(&command.args);
        let arguments = CStrings::new(arguments.map(|text| [text.as_bytes(), b"", b""]));
        let variables = image.environment.iter();
        let variables = variables.map(|(key, value)| [key.as_bytes(), &b"="[..], value.as_bytes()]);
        let mut birth = Birth {
            group: image.group(),
            terminal: command.terminal.is_some(),
            directory: directory.as_deref(),
            descriptors: descriptors(self.null.as_fd(), ends),
            programs: &programs,
            arguments: &arguments,
            environment: &CStrings::new(variables),
            shell: ShellArguments::new(&arguments),
        };
        let way = way().map_err(|error| (SpawnStep::CreateProcess, error))?;
        let mut made = clone::launch(way, &mut self.stack, &mut birth, &self.under_way);
        if let Err(NotLaunched::NotCreated(errno)) = &made
            && way == Way::Clone3
            && clone::is_refusal(Some(*errno as i32))
        {
            clone::clone3_is_refused();
            made = clone::launch(Way::Clone, &mut self.stack, &mut birth, &self.under_way);
        }
        match made {
            Ok((pid, pidfd)) => Ok(Launched { pid, pidfd }),
            Err(NotLaunched::NotCreated(errno)) => Err((not_created(errno), errno.into())),
            Err(NotLaunched::Failed(BirthStep::Execute, error)) => {
                Err((SpawnStep::Execute, explained(image, error)))
            }
            Err(NotLaunched::Failed(step, error)) => Err((spawn_step(step), error)),
            Err(NotLaunched::Killed(ended)) => {
                let error = format!("the process ended before its program ran: {}", ended.status);
                Err((SpawnStep::Execute, io::Error::new(io::ErrorKind::Interrupted, error)))
            }
        }
    }
}

fn way() -> io::Result<Way> {
    #[cfg(feature = "fault-injection")]
    if crate::restart::fault_due(crate::restart::Fault::SpawnByClone) {
        return Ok(Way::Clone);
    }
    clone::way()
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
        // The pidfd needs a descriptor.
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

/// An exec fails with the same error if the program is missing and if its interpreter is missing:
/// in the second case, names the interpreter.
fn explained(image: &Image<'_>, error: io::Error) -> io::Error {
    let from = image.command.current_dir.as_deref().unwrap_or(Path::new(""));
    let programs = image.candidates.iter().map(|path| from.join(path));
    match missing_interpreter(programs, &error, from) {
        Some(interpreter) => {
            let text = format!("its interpreter `{}`: {error}", interpreter.display());
            io::Error::new(error.kind(), text)
        }
        None => error,
    }
}
