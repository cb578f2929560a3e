//! Runs a Procfile: every process as a child, one merged and coloured log, restarts on request.

mod board;
mod keyboard;
mod parse;
mod request;
mod stop;
#[path = "../tool/mod.rs"]
mod tool;

use std::{error::Error, ffi::OsString, os::unix::ffi::OsStrExt, process::ExitCode};

use actix::prelude::*;
use actix_process::Subscribe;
use tokio::sync::oneshot;

use board::{Begin, Board};
use parse::Process;
use tool::{End, Session, visible};

const TOOL: &str = "procfile";

const USAGE: &str = "usage: procfile [--help] [--] [FILE]   (./Procfile by default)";

const HELP: &str = "\
usage: procfile [--help] [--] [FILE]

Runs every process of a Procfile (lines `name: command`), and prints what they write as one merged
log: `|` is standard output, `!` standard error, `=` a start, an exit or what the tool does. Without
FILE, ./Procfile.

While it runs, type `restart NAME` or `stop NAME`: TERM to the whole group and what has left it, KILL
after 5 s; the new one starts when nothing of the old one runs any more. On a terminal this is read
in the foreground. What a process leaves behind is known by the variable ACTIX_PROCESS_TOOL, which
each of them gets.

It ends when all processes have ended, and ends what they have started and still runs, with the first
non-zero status (126 for one that cannot be started); 1 if the output cannot be written, 2 for a bad command line or Procfile, 141 if
the reader of the output has gone. Ctrl-C, SIGTERM or another signal that ends programs ends them
all, and what they have started in whatever group or session (KILL after 5 s or at a second signal),
and then procfile itself by the same signal (130, 143 in a shell). What cannot be ended is named on
the last line. Ctrl-Z stops the processes, too. What wants the terminal is stopped, which is told. In
the background procfile writes on, whatever `stty tostop` says. NO_COLOR, CLICOLOR=0, CLICOLOR_FORCE
and TERM=dumb are followed.";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let only_files = arguments.next_if(|it| it == "--").is_some();
    let file = match (arguments.next(), arguments.next()) {
        (Some(option), _) if !only_files && option.as_bytes().starts_with(b"-") => {
            if option == "--help" || option == "-h" {
                return tool::print(TOOL, HELP);
            }
            let option = visible(option.as_bytes());
            return tool::fail(TOOL, 2, &format!("unknown option `{option}`\n{USAGE}"));
        }
        (file, None) => file.unwrap_or_else(|| OsString::from("Procfile")),
        (_, Some(_)) => return tool::fail(TOOL, 2, USAGE),
    };
    let shown = visible(file.as_bytes());
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => return tool::fail(TOOL, 2, &format!("cannot read `{shown}`: {error}")),
    };
    let processes = match parse::parse(&bytes) {
        Ok(processes) => processes,
        Err(error) => return tool::fail(TOOL, 2, &format!("`{shown}`: {error}")),
    };
    let names: Vec<_> = processes.iter().map(|process| process.name.clone()).collect();
    tool::run(TOOL, &names, async |session| run(session, processes).await)
}

async fn run(session: Session, processes: Vec<Process>) -> Result<End, Box<dyn Error>> {
    let (done, finished) = oneshot::channel();
    let board = Board::new(&session, processes, done).start();
    session.policy.subscribe(Subscribe::exits(board.clone().recipient())).await?;
    keyboard::listen(board.clone().recipient(), session.notes.clone())?;
    board.do_send(Begin);
    Ok(session.conduct(finished, async || None).await)
}
