//! An actor that restarts its child when it dies, three times, and then lets it rest.

use std::time::Duration;

use actix::prelude::*;
use actix_process::{ChildExited, Command, Policy, PolicyHandle, Spawn};

/// Keeps one child alive.
struct Keeper {
    policy: PolicyHandle,
    restarts_left: u32,
}

impl Keeper {
    fn spawn_child(&self, context: &mut Context<Self>) {
        let command = Command::shell("echo working; sleep 0.05; exit 1");
        // The exit comes to this actor, however soon it is.
        let spawn = Spawn::new(command).notify(context.address().recipient());
        let spawned = self.policy.addr().send(spawn).into_actor(self);
        context.spawn(spawned.map(|spawned, _, context| match spawned {
            Ok(Ok(child)) => println!("{} runs as pid {}", child.id(), child.pid()),
            Ok(Err(error)) => {
                eprintln!("{error}");
                context.stop();
            }
            Err(_) => context.stop(),
        }));
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.spawn_child(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        System::current().stop();
    }
}

impl Handler<ChildExited> for Keeper {
    type Result = ();

    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        println!("{} died: {}", exit.child, exit.status);
        if self.restarts_left == 0 {
            return context.stop();
        }
        self.restarts_left -= 1;
        context
            .run_later(Duration::from_millis(100), |keeper, context| keeper.spawn_child(context));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    system.block_on(async {
        Keeper { policy: Policy::start()?, restarts_left: 3 }.start();
        Ok::<_, actix_process::StartError>(())
    })?;
    // The System's end waits until every child is gone.
    Ok(system.run()?)
}
