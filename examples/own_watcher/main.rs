//! Hosts a child watcher of your own in a policy: `cargo run --example own_watcher`.

mod poller;

use std::{error::Error, sync::Arc, time::Duration};

use actix_process::{Command, Policy};

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::builder().child_watcher(Arc::new(poller::Poller::start())).start()?;
    let child = policy.spawn(Command::shell("echo watched by polling; exit 3")).await?;
    let output = child.output().await?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{} ended: {}", child.id(), output.exit.status);
    policy.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
