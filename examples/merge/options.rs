//! The command line.

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use super::tool::{fitted, visible};

pub(crate) const USAGE: &str = "usage: merge [--help] ['CMD' 'CMD' ...]";

pub(crate) const HELP: &str = "\
usage: merge [--help] ['CMD' 'CMD' ...]

Runs each CMD in /bin/sh, all at once, and prints one merged live log: each line
with its command's number, `|` for standard output and `!` for standard error.
Colour on a terminal, plain when piped or with TERM=dumb; NO_COLOR, CLICOLOR=0
and CLICOLOR_FORCE are followed. Control characters of a child are shown as `^X`,
and a carriage return begins a new line. A line over 1 MiB is cut, marked by `…`.

A child's exit line comes after all of its output. When all children have ended,
what they have started and still runs is ended, too; it is known by the variable
ACTIX_PROCESS_TOOL, which each child gets. The exit code is the first
non-zero status (128 and the signal's number for a signal, 126 for a command that
cannot be started), 1 if the output cannot be written, 2 for a bad command line,
and 141 if the reader of the output has gone.

Ctrl-C, SIGTERM or another signal that ends programs ends all children and what
they have started, in whatever group or session: TERM, and KILL after 5 seconds or
at a second signal; the same signal then ends merge itself (130, 143 in a shell).
What cannot be ended is named on the last line. Ctrl-Z stops them all, too. What
wants the terminal is stopped, which is told. In the background merge writes on,
whatever `stty tostop` says.

With no CMD, a demonstration runs whose children speak at once, crash, and leave
a grandchild behind.";

/// The built-in demonstration.
const DEMONSTRATION: [&str; 5] = [
    "for i in 1 2 3; do echo ping $i; sleep 0.08; done",
    "for i in 1 2 3; do echo pong $i >&2; sleep 0.08; done",
    "printf 'no newline at the end'; exit 3",
    "sleep 0.05; echo about to crash; kill -SEGV $$",
    "(sleep 0.1; echo the grandchild speaks) & echo leaving a grandchild behind",
];

/// How many columns of a command's first word are shown.
const WORD: usize = 12;

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Options {
    Help,
    Run(Vec<OsString>),
}

impl Options {
    /// Commands are bytes for the shell; only options are looked into.
    pub(crate) fn from_args(args: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut commands = Vec::new();
        let mut only_commands = false;
        for arg in args {
            match arg.as_bytes() {
                b"--" if !only_commands => only_commands = true,
                b"--help" | b"-h" if !only_commands => return Ok(Options::Help),
                option if !only_commands && option.starts_with(b"-") => {
                    return Err(format!("unknown option `{}`", visible(option)));
                }
                command if command.trim_ascii().is_empty() => {
                    return Err("an empty command".into());
                }
                _ => commands.push(arg),
            }
        }
        if commands.is_empty() {
            commands = DEMONSTRATION.map(OsString::from).into();
        }
        Ok(Options::Run(commands))
    }
}

/// What the commands are called: a number and the first word.
pub(crate) fn names(commands: &[OsString]) -> Vec<String> {
    let word = |line: &OsString| {
        let mut words = line.as_bytes().split(u8::is_ascii_whitespace);
        let word = words.find(|word| !word.is_empty()).unwrap_or(b"?");
        fitted(&visible(word), WORD)
    };
    (1..).zip(commands).map(|(number, line)| format!("{number}:{}", word(line))).collect()
}
