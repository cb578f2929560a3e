//! The command line.

use std::ffi::OsString;

pub(crate) const USAGE: &str = "usage: merge [--help] ['CMD' 'CMD' ...]";

pub(crate) const HELP: &str = "\
usage: merge [--help] ['CMD' 'CMD' ...]

Runs each CMD in /bin/sh, all at once, and prints one merged live log: each line
with its command's number, `|` for standard output and `!` for standard error.
Colour on a terminal, plain when piped (or with NO_COLOR set).

A child's exit line comes after all of its output. The exit code is the first
non-zero status (128 and the signal's number for a signal). Ctrl-C or SIGTERM
ends all children: TERM, and KILL after 5 seconds; the exit code is 130 or 143.

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

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Options {
    Help,
    Run(Vec<String>),
}

impl Options {
    pub(crate) fn from_args(args: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut commands = Vec::new();
        let mut only_commands = false;
        for arg in args {
            let arg = arg.into_string().map_err(|arg| format!("not UTF-8: {}", arg.display()))?;
            match arg.as_str() {
                "--" if !only_commands => only_commands = true,
                "--help" | "-h" if !only_commands => return Ok(Options::Help),
                option if !only_commands && option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                command if command.trim().is_empty() => return Err("an empty command".into()),
                _ => commands.push(arg),
            }
        }
        if commands.is_empty() {
            commands = DEMONSTRATION.map(str::to_owned).into();
        }
        Ok(Options::Run(commands))
    }
}
