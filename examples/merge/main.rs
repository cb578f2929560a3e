//! Runs shell commands as child actors and prints one merged live log.
//!
//! Each line has its command's number and name in front; standard error is told apart. A child's
//! exit line comes after all that it wrote. The first non-zero status is the exit code.

mod options;
mod paint;
mod printer;

use std::{process::ExitCode, time::Duration};

use actix::prelude::*;
use actix_process::{Command, Policy, PolicyHandle, ProcessGroup, Subscribe};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use options::Options;
use printer::{Finished, Printer};

/// How long children may take to end after Ctrl-C or SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

#[actix::main]
async fn main() -> ExitCode {
    let commands = match Options::from_args(std::env::args_os().skip(1)) {
        Ok(Options::Run(commands)) => commands,
        Ok(Options::Help) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("merge: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let policy = match Policy::start() {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("merge: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(&policy, commands).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            policy.shutdown(GRACE).await;
            eprintln!("merge: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the commands and gives the exit code.
async fn run(
    policy: &PolicyHandle,
    commands: Vec<String>,
) -> Result<u8, Box<dyn std::error::Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (done, mut finished) = oneshot::channel();
    let printer = Printer::new(&commands, done).start();
    policy.subscribe(Subscribe::output(printer.clone().recipient())).await?;
    for (number, line) in commands.into_iter().enumerate() {
        // A group of its own: a signal reaches what the shell starts, too.
        let command = Command::shell(line).process_group(ProcessGroup::Own);
        match policy.spawn(command).await {
            Ok(child) => printer.do_send(printer::Started { number, child: child.id() }),
            Err(error) => printer.do_send(printer::NotStarted { number, error }),
        }
    }
    let signalled = tokio::select! {
        first_failure = &mut finished => return end(policy, &printer, first_failure?).await,
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    eprintln!("merge: ending every child");
    let again = async {
        tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        policy.shutdown(Duration::ZERO).await;
    };
    tokio::select! {
        () = policy.shutdown(GRACE) => {}
        // A second signal does not wait for the grace.
        () = again => {}
    }
    end(policy, &printer, signalled).await
}

/// Ends what is left (a grandchild, say), and prints the summary.
async fn end(
    policy: &PolicyHandle,
    printer: &Addr<Printer>,
    code: u8,
) -> Result<u8, Box<dyn std::error::Error>> {
    policy.shutdown(GRACE).await;
    printer.send(Finished).await?;
    Ok(code)
}
