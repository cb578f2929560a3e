//! `SpawnPool`: the spawn threads. A spawn uses its thread until the child has executed its
//! program, and a program can hang in its exec: while all threads are stuck, one more is started.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use nix::sys::signal::Signal;
use tokio::{sync::mpsc, time::sleep};

use super::{
    Job, Spawner,
    launch::Launcher,
    spawner::{Reply, Taken},
};
use crate::{
    restart::trace,
    sys::{clone::UnderWay, signal_mask},
};

/// Two threads keep the cores busy. More were not faster when measured, and hold more of the
/// parent's locks.
const THREADS: usize = 2;

/// A spawn is stuck after this time, and holds up others; most take less than a millisecond.
const STUCK: Duration = Duration::from_millis(20);

/// How often the pool looks for stuck spawns, while there are any spawns.
const TICK: Duration = Duration::from_millis(10);

/// The current job of a thread.
#[derive(Debug, Default)]
pub(super) struct Work {
    in_hand: Mutex<Option<(Instant, Reply)>>,
    birth: Arc<UnderWay>,
}

impl Work {
    fn in_hand(&self) -> MutexGuard<'_, Option<(Instant, Reply)>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job. Returns false if its caller has given it up.
    pub(super) fn begin(&self, reply: Reply) -> bool {
        let wanted = !reply.is_given_up();
        if wanted {
            *self.in_hand() = Some((Instant::now(), reply));
        }
        wanted
    }

    /// Ends the job, and returns where its answer goes.
    pub(super) fn end(&self) -> Option<Reply> {
        self.in_hand().take().map(|(_, reply)| reply)
    }

    /// The signal that a stuck thread's child needs; `None` if the thread is not stuck.
    fn needs(&self) -> Option<Signal> {
        let in_hand = self.in_hand();
        let (_, reply) = in_hand.as_ref().filter(|(since, _)| since.elapsed() > STUCK)?;
        // SIGCONT: a Ctrl-Z just before the exec may have stopped the child.
        Some(if reply.is_given_up() { Signal::SIGKILL } else { Signal::SIGCONT })
    }
}

#[derive(Debug)]
struct SpawnThread {
    handle: JoinHandle<()>,
    work: Arc<Work>,
}

/// The threads and their job queue. It lives on the policy's thread.
#[derive(Debug)]
pub(crate) struct SpawnPool {
    jobs: Sender<Taken>,
    spawner: Spawner,
    threads: RefCell<Vec<SpawnThread>>,
    /// Each unfinished job holds a clone.
    undone: Arc<()>,
    /// Whether a task looks for stuck spawns.
    watched: Cell<bool>,
}

impl SpawnPool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// An error if a thread cannot be started.
    pub(crate) fn start(jobs: Sender<Taken>, spawner: Spawner) -> io::Result<Rc<Self>> {
        let (threads, undone, watched) = (RefCell::default(), Arc::default(), Cell::new(false));
        let pool = Rc::new(SpawnPool { jobs, spawner, threads, undone, watched });
        for _ in 0..THREADS {
            pool.add_thread().inspect_err(|_| pool.end())?;
        }
        Ok(pool)
    }

    /// Adds a thread. It runs until the policy ends, since it may have spawned children.
    fn add_thread(&self) -> io::Result<()> {
        let work = Arc::<Work>::default();
        let launcher = Launcher::new(Arc::clone(&work.birth))?;
        let (spawner, own) = (self.spawner.clone(), Arc::clone(&work));
        let builder = thread::Builder::new().name("actix-process-spawn".into());
        let run = move || spawner.run(launcher, &own);
        let handle = signal_mask::start_thread(builder, run)?;
        self.threads.borrow_mut().push(SpawnThread { handle, work });
        Ok(())
    }

    /// Passes a job to the next free thread.
    pub(super) fn give(self: &Rc<Self>, job: Job) {
        if self.spawner.is_closed() {
            return job.refuse();
        }
        if let Err(unsent) = self.jobs.send((job, Arc::clone(&self.undone))) {
            let (job, _) = unsent.into_inner();
            return job.refuse();
        }
        if !self.watched.replace(true) {
            let pool = Rc::clone(self);
            actix::spawn(async move { pool.watch().await });
        }
    }

    /// Looks for stuck spawns until there are no spawns.
    async fn watch(&self) {
        loop {
            sleep(TICK).await;
            if Arc::strong_count(&self.undone) == 1 {
                break;
            }
            self.look_after_stuck();
        }
        self.watched.set(false);
    }

    fn look_after_stuck(&self) {
        let threads = self.threads.borrow().len();
        let mut stuck = 0;
        for thread in &*self.threads.borrow() {
            if let Some(signal) = thread.work.needs() {
                stuck += 1;
                thread.work.birth.signal(signal);
            }
        }
        if stuck == threads && !self.jobs.is_empty() && !self.spawner.inbox.is_closed() {
            match self.add_thread() {
                Ok(()) => trace::warn!(threads, "all spawns hang: one more thread is started"),
                Err(error) => trace::error!(%error, "all spawns hang, and no thread can be made"),
            }
        }
    }

    /// Refuses the waiting jobs, and makes each thread end after its current job. The returned
    /// receiver is closed when all threads have ended.
    pub(crate) fn stop(&self) -> mpsc::Receiver<()> {
        self.refuse_waiting();
        let (stopped, ended) = mpsc::channel(1);
        for _ in &*self.threads.borrow() {
            // Cannot fail: the pool itself holds a receiver.
            let _ = self.jobs.send((Job::Stop(stopped.clone()), Arc::default()));
        }
        ended
    }

    fn refuse_waiting(&self) {
        while let Ok((job, _)) = self.spawner.jobs.try_recv() {
            job.refuse();
        }
    }

    /// Kills the children that hang before their programs run.
    pub(crate) fn kill_stuck(&self) {
        let kill = |thread: &SpawnThread| thread.work.birth.signal(Signal::SIGKILL);
        self.threads.borrow().iter().for_each(kill);
    }

    /// Waits for the threads, which must have been stopped.
    pub(crate) fn join(&self) {
        for thread in self.threads.take() {
            if thread.handle.join().is_err() {
                trace::error!("a spawn thread panicked");
            }
        }
    }

    /// Stops the threads and waits for them; only if nothing has been spawned yet.
    pub(crate) fn end(&self) {
        drop(self.stop());
        self.join();
    }
}
