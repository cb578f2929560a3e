//! `PolicyThread`: the library's own thread with its actix System, which runs the policy, the
//! watcher and the waiters, so that a blocked System of the user delays nothing.

use std::{
    io,
    path::Path,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix::{Addr, SyncArbiter, System};
use tokio::sync::{SetOnce, mpsc, oneshot};

use super::{
    Policy, PolicyBuilder, PolicyHandle,
    shutdown::{ReadLoop, Running, StopRequest},
};
use crate::{
    Driver, PolicyStopped, StartError,
    log::spill::Spiller,
    process::{HostedWatcher, PollSoon},
    read_loop::{LoopCommand, Mailbox, Run, StateManager},
    restart::{Supervisor, contain, trace},
    spawn::{SpawnPool, Spawner},
    sys::{self, signal_mask},
    types::Part,
    waiting::{Inbox, WaiterTable, Watcher},
};

/// The view of the policy's thread for other threads.
#[derive(Debug)]
pub(crate) struct PolicyThread {
    pub(super) grace: Duration,
    stop: mpsc::UnboundedSender<StopRequest>,
    /// Set by the first stop request: nothing is spawned after it.
    closing: Arc<AtomicBool>,
    stopped: SetOnce<PolicyStopped>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl PolicyThread {
    /// Requests the shutdown, or a shorter grace for a shutdown that has begun.
    pub(super) fn request_stop(&self, grace: Duration, reason: PolicyStopped) {
        self.closing.store(true, SeqCst);
        // If the send fails, the policy's thread has stopped.
        let _ = self.stop.send(StopRequest { grace, reason });
    }

    pub(super) fn reason(&self) -> Option<PolicyStopped> {
        self.stopped.get().cloned()
    }

    /// Waits for the policy's end, and then for its thread, which ends right after that.
    pub(super) async fn stopped(&self) -> PolicyStopped {
        let reason = self.stopped.wait().await.clone();
        self.join();
        reason
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            trace::error!("the policy's thread panicked");
        }
    }
}

/// Held by the user's System while it runs. Dropping it ends the policy and waits.
struct SystemGuard {
    host: Arc<PolicyThread>,
    /// Whether a running System took the guard: a thread can keep the name of an ended System.
    held: Arc<AtomicBool>,
}

impl Drop for SystemGuard {
    fn drop(&mut self) {
        if self.held.load(SeqCst) && self.host.stopped.get().is_none() {
            self.host.request_stop(self.host.grace, PolicyStopped::Shutdown);
            self.host.join();
        }
    }
}

/// Starts all parts and returns when they run.
pub(super) fn start(settings: PolicyBuilder) -> Result<PolicyHandle, StartError> {
    sys::limits::raise_open_files();
    sys::clone::way().map_err(StartError::Launch)?;
    let (stop, stop_requests) = mpsc::unbounded_channel();
    let host = Arc::new(PolicyThread {
        grace: settings.grace,
        stop,
        closing: Arc::default(),
        stopped: SetOnce::new(),
        thread: Mutex::default(),
    });
    // A blocking channel: this may run inside an async runtime, but blocks it only briefly.
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = {
        let host = Arc::clone(&host);
        let builder = thread::Builder::new().name("actix-process".into());
        let run = move || run(&host, settings, stop_requests, ready);
        signal_mask::start_thread(builder, run).map_err(StartError::at("start its thread"))?
    };
    *host.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    let handle = match started.recv() {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => {
            host.join();
            return Err(error);
        }
        Err(_) => {
            host.join();
            let source = io::Error::other("the policy's thread ended");
            return Err(StartError::Resources { step: "start its thread", source });
        }
    };
    if let Some(system) = System::try_current() {
        let held = Arc::new(AtomicBool::new(false));
        let anchor = SystemGuard { host, held: Arc::clone(&held) };
        let took = system.arbiter().spawn(async move {
            anchor.host.stopped.wait().await;
        });
        held.store(took, SeqCst);
    }
    Ok(handle)
}

/// If the policy's thread itself panics (in a `tracing` layer, say), releases waiting callers.
struct PanicReport<'a> {
    host: &'a PolicyThread,
    link: Arc<Mailbox>,
}

impl Drop for PanicReport<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = PolicyStopped::DriverFailed("the policy's thread panicked".into());
            self.link.push(LoopCommand::Finish(reason.clone()));
            let _ = self.host.stopped.set(reason);
        }
    }
}

type Ready = std::sync::mpsc::SyncSender<Result<PolicyHandle, StartError>>;

/// The main function of the policy's thread.
fn run(
    host: &Arc<PolicyThread>,
    settings: PolicyBuilder,
    mut stop_requests: mpsc::UnboundedReceiver<StopRequest>,
    ready: Ready,
) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Cannot fail: the starting thread waits for this message.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let system = System::with_tokio_rt(move || runtime);
    let reason = system.block_on(async {
        match build(host, settings).await {
            Ok((handle, running)) => {
                // The starting thread waits for this, or has gone and taken the handle with it.
                let _ = ready.send(Ok(handle));
                let _told = PanicReport { host, link: Arc::clone(&running.link) };
                running.until_stopped(&mut stop_requests, host.grace).await
            }
            Err(error) => {
                let reason = PolicyStopped::DriverFailed(error.to_string());
                let _ = ready.send(Err(error));
                reason
            }
        }
    });
    drop(system);
    // This is the thread's last action.
    let _ = contain("the waker of a policy's end", || host.stopped.set(reason));
}

/// The runtime of the policy's thread. Checks first that a thread can be started.
fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    // actix starts the read loop's thread, and panics if it cannot.
    let probe = thread::Builder::new().spawn(|| {}).map_err(StartError::at("start its threads"))?;
    let _ = probe.join();
    sys::runtime::current_thread().map_err(StartError::at("make its runtime"))
}

/// Builds the parts. The shutdown takes them in the reverse order.
async fn build(
    host: &Arc<PolicyThread>,
    settings: PolicyBuilder,
) -> Result<(PolicyHandle, Running), StartError> {
    let link = Arc::new(Mailbox::new(settings.log_bound, settings.overflow));
    let intensity = settings.intensity;
    let child_watcher = settings.child_watcher.clone().map(HostedWatcher::new);
    let spill = settings.spill.clone();
    let (read_loop, driver) = start_read_loop(&link, settings).await?;
    let spiller = match spill.map(|(directory, bytes)| start_spiller(&directory, bytes, &link)) {
        None => None,
        Some(Ok(spiller)) => Some(spiller),
        Some(Err(error)) => {
            read_loop.finish(&link, PolicyStopped::Shutdown).await;
            return Err(StartError::at("start the spill's thread")(error));
        }
    };
    let supervisor = {
        let host = Arc::clone(host);
        let give_up = move |reason| host.request_stop(host.grace, reason);
        let link = Arc::clone(&link);
        let restarted = move |part, message| link.push(LoopCommand::Restarted(part, message));
        Supervisor::new(intensity, restarted, give_up)
    };
    let inbox = Arc::new(Inbox::default());
    let table = Rc::new(WaiterTable::new(Arc::clone(&inbox), child_watcher.clone()));
    let watcher = Watcher::new(Rc::clone(&table), Rc::clone(&supervisor));
    let watcher = supervisor.start(Part::Watcher, watcher);
    let (spawn_jobs, jobs) = crossbeam_channel::unbounded();
    let mut spawn_pool = None;
    let policy = supervisor.try_start(Part::Policy, |policy: &Addr<Policy>| {
        let spawner = Spawner {
            jobs,
            closing: Arc::clone(&host.closing),
            poll_soon: {
                let link = Arc::clone(&link);
                PollSoon(Arc::new(move |child| link.poll_soon(child)))
            },
            link: Arc::clone(&link),
            inbox,
            child_watcher,
            watcher: watcher.clone(),
            alarms: policy.downgrade().recipient(),
            runtime: tokio::runtime::Handle::current(),
        };
        let pool = SpawnPool::start(spawn_jobs, spawner)?;
        spawn_pool = Some(Rc::clone(&pool));
        Ok(Policy {
            host: Arc::clone(host),
            link: Arc::clone(&link),
            watcher: watcher.clone(),
            spawn_pool: pool,
        })
    });
    let (policy, spawn_pool) = match (policy, spawn_pool) {
        (Ok(policy), Some(pool)) => (policy, pool),
        (policy, _) => {
            read_loop.finish(&link, PolicyStopped::Shutdown).await;
            if let Some(spiller) = spiller {
                spiller.join();
            }
            let error = policy.err().unwrap_or_else(|| io::Error::other("there are none"));
            return Err(StartError::at("start the spawn threads")(error));
        }
    };
    let handle = PolicyHandle { policy, link: Arc::clone(&link), host: Arc::clone(host), driver };
    let running = Running { link, read_loop, spiller, table, _watcher: watcher, spawn_pool };
    Ok((handle, running))
}

fn start_spiller(directory: &Path, bytes: u64, link: &Arc<Mailbox>) -> io::Result<Spiller> {
    let mailbox = Arc::clone(link);
    let tell = move |error| mailbox.push(LoopCommand::SpillFailed(Arc::new(error)));
    Spiller::start(directory, bytes, link.shared_log(), tell)
}

async fn start_read_loop(
    link: &Arc<Mailbox>,
    settings: PolicyBuilder,
) -> Result<(ReadLoop, Driver), StartError> {
    let (alive, thread) = mpsc::channel(1);
    let named = || thread::Builder::new().name("actix-process-read".into());
    let make = move || StateManager { _alive: alive.clone() };
    let state_manager = SyncArbiter::start_with_thread_builder(1, named, make);
    let (ready, started) = oneshot::channel();
    let answer = Box::pin(state_manager.send(Run {
        link: Arc::clone(link),
        driver: settings.driver,
        intensity: settings.intensity,
        ready,
    }));
    match started.await {
        Ok(Ok((driver, id))) => {
            Ok((ReadLoop { state_manager, answer, thread, id, reason: None }, driver))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let source = io::Error::other("the thread ended");
            Err(StartError::Resources { step: "start the read loop", source })
        }
    }
}
