//! The raw calls: a posix_spawn with both outputs piped, and a poll loop.

use std::{
    ffi::CString,
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{Child, Command, Stdio},
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn},
    unistd::Pid,
};

/// A child and the read ends of its pipes.
pub struct Spawned {
    pub pid: Pid,
    pub pipes: [OwnedFd; 2],
}

/// `posix_spawn` of a program without arguments, stdin from `/dev/null`, both outputs piped.
pub fn spawn(program: &CString, environment: &[CString]) -> Spawned {
    let (out, out_writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let (err, err_writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let mut actions = PosixSpawnFileActions::init().expect("file actions");
    let null = File::open("/dev/null").expect("/dev/null");
    actions.add_dup2(null.as_raw_fd(), 0).expect("stdin");
    actions.add_dup2(out_writer.as_raw_fd(), 1).expect("stdout");
    actions.add_dup2(err_writer.as_raw_fd(), 2).expect("stderr");
    let attributes = PosixSpawnAttr::init().expect("attributes");
    let pid = posix_spawn(program.as_c_str(), &actions, &attributes, &[program], environment)
        .expect("posix_spawn");
    Spawned { pid, pipes: [out, err] }
}

/// Spawns `count` children that play `part`, their stdout piped, and reads all of it in one
/// poll+read loop with one buffer. Gives what each wrote to `each`.
pub fn poll_loop(part: &str, count: usize, mut each: impl FnMut(usize, &[u8])) {
    let (program, (key, value)) = super::children::part(part);
    let mut children: Vec<Child> = (0..count)
        .map(|_| {
            let mut command = Command::new(&program);
            command.env(key, &value).stdin(Stdio::null()).stdout(Stdio::piped());
            command.spawn().expect("a child")
        })
        .collect();
    let mut pipes: Vec<Option<OwnedFd>> =
        children.iter_mut().map(|child| child.stdout.take().map(OwnedFd::from)).collect();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let open: Vec<usize> = (0..count).filter(|&index| pipes[index].is_some()).collect();
        if open.is_empty() {
            break;
        }
        let ready: Vec<usize> = {
            let mut polled: Vec<PollFd<'_>> = open
                .iter()
                .filter_map(|&index| pipes[index].as_ref())
                .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
                .collect();
            poll(&mut polled, PollTimeout::NONE).expect("poll");
            let ready = open.iter().zip(&polled).filter(|(_, fd)| fd.any().unwrap_or(true));
            ready.map(|(&index, _)| index).collect()
        };
        for index in ready {
            let Some(pipe) = &pipes[index] else { continue };
            match nix::unistd::read(pipe, &mut buffer).expect("read") {
                0 => pipes[index] = None,
                len => each(index, &buffer[..len]),
            }
        }
    }
    for child in &mut children {
        child.wait().expect("wait");
    }
}
