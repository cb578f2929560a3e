//! Runs a Procfile: every process as a child, one merged and coloured log, restarts on request.

mod board;
#[path = "../merge/paint.rs"]
mod paint;
mod parse;

use std::{io::BufRead, process::ExitCode, thread, time::Duration};

use actix::prelude::*;
use actix_process::{Policy, PolicyHandle, Start, Subscribe};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use board::{Board, Request};
use parse::Process;

const USAGE: &str = "usage: procfile [FILE]   (./Procfile by default)";

const HELP: &str = "usage: procfile [FILE]

Runs every process of a Procfile (lines `name: command`), and prints what they write as one merged
log: `|` is standard output, `!` standard error, `=` a start or an exit. Without FILE, ./Procfile.

While it runs, type `restart NAME` or `stop NAME`. It ends when all processes have ended, with the
first non-zero status; Ctrl-C or SIGTERM ends them all (KILL after 5 s), with 130 or 143.";

/// How long the processes may take to end.
const GRACE: Duration = Duration::from_secs(5);

#[actix::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let file = match (arguments.next(), arguments.next()) {
        (Some(help), None) if matches!(&*help, "--help" | "-h") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        (Some(option), _) if option.starts_with('-') => return fail(2, USAGE),
        (file, None) => file.unwrap_or_else(|| "Procfile".to_owned()),
        (_, Some(_)) => return fail(2, USAGE),
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return fail(2, &format!("cannot read `{file}`: {error}")),
    };
    let processes = match parse::parse(&text) {
        Ok(processes) => processes,
        Err(error) => return fail(2, &format!("`{file}`: {error}")),
    };
    let policy = match Policy::start() {
        Ok(policy) => policy,
        Err(error) => return fail(1, &error.to_string()),
    };
    let code = run(&policy, processes).await;
    policy.shutdown(GRACE).await;
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(1, &error.to_string()),
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("procfile: {message}");
    ExitCode::from(code)
}

async fn run(
    policy: &PolicyHandle,
    processes: Vec<Process>,
) -> Result<u8, Box<dyn std::error::Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (done, finished) = oneshot::channel();
    let board = Board::new(policy.clone(), processes, done).start();
    let output = Subscribe::output(board.clone().recipient()).from(Start::Beginning);
    policy.subscribe(output).await?;
    policy.subscribe(Subscribe::exits(board.clone().recipient())).await?;
    // Ends with the program: nothing can interrupt a read of the terminal.
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            board.do_send(Request(line));
        }
    });
    let code = tokio::select! {
        first_failure = finished => return Ok(first_failure?),
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    eprintln!("procfile: ending every process");
    policy.shutdown(GRACE).await;
    Ok(code)
}
