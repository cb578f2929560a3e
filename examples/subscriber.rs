//! An actor that subscribes to exits: it counts how children ended, and stops when all have.

use actix::prelude::*;
use actix_process::{ChildExited, Command, Policy, Subscribe};
use tokio::sync::oneshot;

/// Hears of every exit.
struct Counter {
    expected: usize,
    failed: usize,
    done: Option<oneshot::Sender<usize>>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for Counter {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        println!("{exit} after {:?}", exit.wall_time);
        self.failed += usize::from(!exit.status.success());
        self.expected -= 1;
        if self.expected == 0 {
            if let Some(done) = self.done.take() {
                // Whoever asked may have gone away.
                let _ = done.send(self.failed);
            }
            context.stop();
        }
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::start()?;
    let lines = ["exit 0", "exit 3", "sleep 0.1", "kill -TERM $$"];
    let (done, failed) = oneshot::channel();
    let counter = Counter { expected: lines.len(), failed: 0, done: Some(done) }.start();
    policy.subscribe(Subscribe::exits(counter.recipient())).await?;
    for line in lines {
        policy.spawn(Command::shell(line)).await?;
    }
    println!("{} of {} failed", failed.await?, lines.len());
    policy.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}
