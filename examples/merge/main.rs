//! Runs shell commands as child actors and prints one merged live log.
//!
//! Each line has its command's number and name in front; standard error is told apart. A child's
//! exit line comes after all that it wrote. The first non-zero status is the exit code.

mod options;
mod tally;
#[path = "../tool/mod.rs"]
mod tool;

use std::{error::Error, ffi::OsString, process::ExitCode, time::Instant};

use actix::prelude::*;
use actix_process::Subscribe;
use tokio::sync::oneshot;

use options::Options;
use tally::{NotStarted, Summary, Tally};
use tool::{End, Known, Say, Session};

const TOOL: &str = "merge";

fn main() -> ExitCode {
    let commands = match Options::from_args(std::env::args_os().skip(1)) {
        Ok(Options::Run(commands)) => commands,
        Ok(Options::Help) => return tool::print(TOOL, options::HELP),
        Err(error) => return tool::fail(TOOL, 2, &format!("{error}\n{}", options::USAGE)),
    };
    let names = options::names(&commands);
    tool::run(TOOL, &names, async |session| merge(session, commands).await)
}

async fn merge(session: Session, commands: Vec<OsString>) -> Result<End, Box<dyn Error>> {
    let begin = Instant::now();
    let (done, finished) = oneshot::channel();
    let count = commands.len();
    let tally = Tally::new(count, done).start();
    session.policy.subscribe(Subscribe::exits(tally.clone().recipient())).await?;
    for (name, line) in commands.into_iter().enumerate() {
        // Each on its own: one that hangs in its start holds up no other.
        actix::spawn(start(&session, name, line, tally.clone()));
    }
    let summary = async || {
        let failed = tally.send(Summary).await.ok()?;
        let seconds = begin.elapsed().as_secs_f64();
        Some(format!("{count} commands, {failed} failed, {seconds:.3} s"))
    };
    Ok(session.conduct(finished, summary).await)
}

/// Starts one command, and tells the printer whose output it is.
fn start(
    session: &Session,
    name: usize,
    line: OsString,
    tally: Addr<Tally>,
) -> impl Future<Output = ()> + 'static {
    let (policy, printer) = (session.policy.clone(), session.printer.clone());
    let roster = session.roster.clone();
    async move {
        match policy.spawn(tool::command(name, line)).await {
            Ok(child) => {
                printer.do_send(Known { name, child: child.id() });
                roster.add(name, child);
            }
            Err(error) => {
                printer.do_send(Say { name, text: error.to_string() });
                tally.do_send(NotStarted);
            }
        }
    }
}
