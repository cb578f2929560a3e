//! `Command`: a program and everything about its surroundings, checked only when it is spawned.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ErrorTo, Extra, OutputTo, Stdin, Terminal};
use crate::{Overflow, types::Quota};

/// The process group that a child runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessGroup {
    /// The parent's: a terminal's Ctrl-C reaches parent and child.
    #[default]
    Inherit,
    /// A new one that the child leads. A shutdown ends every member of the group, even if the
    /// leader has ended or no member holds a pipe, so that descendants end with the child. It also
    /// ends the child itself, if that has left the group.
    Own,
    /// The existing group with this id.
    Join(i32),
}

/// One change of the inherited environment.
#[derive(Clone, Debug)]
pub(crate) enum EnvChange {
    Set(OsString, OsString),
    Remove(OsString),
}

impl EnvChange {
    pub(crate) fn key(&self) -> &OsStr {
        match self {
            EnvChange::Set(key, _) | EnvChange::Remove(key) => key,
        }
    }
}

/// A program to run as a child, its arguments and its surroundings.
///
/// By default a child inherits the environment, the working directory and the process group, reads
/// `/dev/null`, and has its standard output and standard error piped into the merged log.
///
/// It starts with no signal blocked and each at its default, except those that were ignored when
/// this program was started (`nohup`). Of these, `SIGCHLD` and `SIGPIPE` are at their defaults too.
/// Its soft limit of open descriptors is the one that this program had before the library raised
/// it. `/bin/sh` runs an executable file that is no program (a script without `#!`), as `execvp(3)`
/// does.
///
/// ```
/// use actix_process::{Command, OutputTo};
///
/// let build = Command::new("make")
///     .args(["-j2", "all"])
///     .current_dir("/tmp")
///     .env("LANG", "C")
///     .stderr(OutputTo::Null);
/// # let _ = build;
/// ```
///
/// # What other libraries have
///
/// There is no `kill_on_drop`: a child lives until its policy ends. But if a call of
/// [`PolicyHandle::spawn`](crate::PolicyHandle::spawn) is dropped before it returned, it is undone.
/// There is no `timeout`: race [`Child::wait`](crate::Child::wait) against a clock and
/// [`stop`](crate::Child::stop) the child. `uid`, `gid` and `pre_exec` do not exist yet.
#[doc(alias = "kill_on_drop")]
#[doc(alias = "timeout")]
#[doc(alias = "uid")]
#[doc(alias = "gid")]
#[derive(Clone)]
#[must_use]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) arg0: Option<OsString>,
    pub(crate) name: Option<String>,
    pub(crate) env_clear: bool,
    pub(crate) env: Vec<EnvChange>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) group: ProcessGroup,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: OutputTo,
    pub(crate) stderr: ErrorTo,
    pub(crate) extra: Vec<(i32, Extra)>,
    pub(crate) share: Option<Quota>,
    pub(crate) terminal: Option<Terminal>,
}

impl Command {
    /// A command that runs `program`: a path, or a bare name looked up in the child's `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Command {
            program: program.into(),
            args: Vec::new(),
            arg0: None,
            name: None,
            env_clear: false,
            env: Vec::new(),
            current_dir: None,
            group: ProcessGroup::default(),
            stdin: Stdin::default(),
            stdout: OutputTo::default(),
            stderr: ErrorTo::default(),
            extra: Vec::new(),
            share: None,
            terminal: None,
        }
    }

    /// A command that runs `line` in `/bin/sh`, even if it begins with `-`.
    pub fn shell(line: impl Into<OsString>) -> Self {
        Command::new("/bin/sh").args(["-c", "--"]).arg(line)
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// What the program sees as its own name, instead of the name that it was found by.
    pub fn arg0(mut self, name: impl Into<OsString>) -> Self {
        self.arg0 = Some(name.into());
        self
    }

    /// What the child is called in the log, in messages and in traces, instead of its program:
    /// `"api"`, say. Errors of the spawn still name the program.
    #[doc(alias = "label")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets a variable in the child's environment.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push(EnvChange::Set(key.into(), value.into()));
        self
    }

    /// Sets several variables in the child's environment.
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        variables.into_iter().fold(self, |command, (key, value)| command.env(key, value))
    }

    /// Removes an inherited variable from the child's environment.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.env.push(EnvChange::Remove(key.into()));
        self
    }

    /// Inherits no variable, and forgets the changes made so far.
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self.env.clear();
        self
    }

    /// The directory that the child starts in. A relative program path is looked up from there.
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.current_dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// The process group that the child runs in.
    pub fn process_group(mut self, group: ProcessGroup) -> Self {
        self.group = group;
        self
    }

    /// What the child reads as its standard input: a [`Stdin`], a text, bytes, or a file.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Where the child's standard output goes: an [`OutputTo`], or a file.
    pub fn stdout(mut self, stdout: impl Into<OutputTo>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Where the child's standard error goes: an [`OutputTo`], a file, or [`ErrorTo::WithStdout`].
    #[doc(alias = "combined")]
    pub fn stderr(mut self, stderr: impl Into<ErrorTo>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// The child's own part of the log, in bytes, and what happens when it is used up.
    /// [`Block`](Overflow::Block): only this child waits, until the slowest lossless reader has
    /// read of it. [`DropOldest`](Overflow::DropOldest): the log holds no more of it than this;
    /// counted gaps replace the rest and concern no other child
    /// ([`Gap::concerns`](crate::log::Gap::concerns)). [`Spill`](Overflow::Spill): what the slowest
    /// lossless reader has not read goes to files. Without a share, only the log's own bound
    /// counts.
    ///
    /// `Spill` is as `Block` if the policy has no directory for it. In a log that drops the oldest,
    /// neither holds anything back, since that log has no lossless readers.
    ///
    /// A full pipe plus one read turn can exceed it. Output counts until the child is closed.
    pub fn log_share(mut self, bytes: u64, overflow: Overflow) -> Self {
        self.share = Some(Quota { bytes, overflow });
        self
    }

    /// Runs the child on a terminal of its own: its standard input, output and error, whatever else
    /// is said of them, and its controlling terminal. The child leads a new session and process
    /// group. What it writes is [`Source::Stdout`](crate::Source::Stdout), with the terminal's line
    /// ends (`\r\n`); [`Child::stdin`](crate::Child::stdin) is the keyboard, whose end of input is
    /// the character 4 (Ctrl-D). [`Child::resize`](crate::Child::resize) changes the size. When the
    /// child ends, the kernel sends `SIGHUP` to the terminal's foreground group. What remaining
    /// processes write is marked as [`after_exit`](crate::log::Chunk::after_exit).
    ///
    /// The kernel edits lines unless the child has switched that off: of a line that is longer than
    /// 4,095 bytes it keeps no more.
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// Gives the child a copy of this descriptor under this number, 3 or more: a socket to listen
    /// on, say. The spawn refuses a number that is given twice.
    pub fn descriptor(mut self, number: i32, descriptor: impl Into<OwnedFd>) -> Self {
        self.extra.push((number, Extra::Given(Arc::new(descriptor.into()))));
        self
    }

    /// Gives the child a pipe into the merged log under this number, 3 or more: its bytes are
    /// [`Source::Extra`](crate::Source::Extra).
    pub fn log_descriptor(mut self, number: i32) -> Self {
        self.extra.push((number, Extra::Log));
        self
    }
}

impl Command {
    /// Whether the child leads a process group of its own.
    pub(crate) fn leads_group(&self) -> bool {
        self.group == ProcessGroup::Own || self.terminal.is_some()
    }
}

/// Takes the program, the arguments, the changes of the environment and the working directory. Does
/// not take what std does not show: the streams, the user, the group, a cleared environment.
impl From<&std::process::Command> for Command {
    fn from(other: &std::process::Command) -> Self {
        let mut command = Command::new(other.get_program()).args(other.get_args());
        for (key, value) in other.get_envs() {
            command = match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        match other.get_current_dir() {
            Some(directory) => command.current_dir(directory),
            None => command,
        }
    }
}

impl From<std::process::Command> for Command {
    fn from(other: std::process::Command) -> Self {
        Command::from(&other)
    }
}

/// Shows the program and the numbers of arguments and variables; their contents may be secret.
impl fmt::Debug for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &self.env.len())
            .field("current_dir", &self.current_dir)
            .finish_non_exhaustive()
    }
}
