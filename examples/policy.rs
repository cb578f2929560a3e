//! A policy of your own that overrides only the child watcher: `cargo run --example policy`.

use std::{
    error::Error,
    sync::{Arc, LazyLock},
    time::Duration,
};

use actix_process::{
    Command, Policy,
    asyncio::{
        ChildWatcher, EventLoopPolicy, ThreadedWatcher, WatchError, event_loop_policy,
        set_event_loop_policy,
    },
};

/// Event loops as ever; children are waited for by threads.
#[derive(Debug)]
struct WaitingThreads(LazyLock<Arc<ThreadedWatcher>>);

impl EventLoopPolicy for WaitingThreads {
    fn child_watcher(&self) -> Result<Arc<dyn ChildWatcher>, WatchError> {
        Ok(Arc::clone(&*self.0) as _)
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    set_event_loop_policy(Some(Arc::new(WaitingThreads(LazyLock::new(Arc::default)))));
    println!("this thread's loop: {:?}", event_loop_policy().event_loop()?.is_running());
    println!("the child watcher: {:?}", event_loop_policy().child_watcher()?);

    // A policy that is started now hosts that watcher, behind the one merged log.
    let policy = Policy::start()?;
    let child = policy.spawn(Command::shell("echo hello; exit 4")).await?;
    let output = child.output().await?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{} ended: {}", child.id(), output.exit.status);
    policy.shutdown(Duration::from_secs(5)).await;

    set_event_loop_policy(None);
    Ok(())
}
