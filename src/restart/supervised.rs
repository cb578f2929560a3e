//! A supervised actor: its context is polled under `catch_unwind` and restarted in place.
//!
//! actix's own `Supervisor` never restarts after a panic, and has neither back-off nor intensity.
//! Here the address and the queued messages outlive a panic; only the message that panicked is
//! lost, and its sender is notified.

use std::{
    cell::RefCell,
    convert::Infallible,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Wake, Waker, ready},
    time::{Duration, Instant},
};

use actix::{Actor, Addr, AsyncContext as _, Context, Supervised, dev::ContextFut};
use tokio::time::{Sleep, sleep};

use super::{Intensity, Restarts, Verdict, dispose, message_of, trace};
use crate::{PolicyStopped, types::Part};

/// Counts the panics of the actors on one thread, and decides what to do.
pub(crate) struct Supervisor {
    restarts: RefCell<Restarts>,
    restarted: Box<dyn Fn(Part, String)>,
    give_up: Box<dyn Fn(PolicyStopped)>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Supervisor").field("restarts", &self.restarts).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// `restarted` is called before a restart, `give_up` when the intensity is exceeded.
    pub(crate) fn new(
        intensity: Intensity,
        restarted: impl Fn(Part, String) + 'static,
        give_up: impl Fn(PolicyStopped) + 'static,
    ) -> Rc<Self> {
        let restarts = RefCell::new(Restarts::new(intensity));
        Rc::new(Supervisor { restarts, restarted: Box::new(restarted), give_up: Box::new(give_up) })
    }

    /// Starts an actor on this thread.
    pub(crate) fn start<A>(self: &Rc<Self>, part: Part, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let Ok(addr) = self.try_start(part, |_| Ok::<_, Infallible>(actor));
        addr
    }

    /// Starts an actor that is made with its own address, if it can be made.
    pub(crate) fn try_start<A, E>(
        self: &Rc<Self>,
        part: Part,
        make: impl FnOnce(&Addr<A>) -> Result<A, E>,
    ) -> Result<Addr<A>, E>
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let context = Context::new();
        let addr = context.address();
        let actor = context.into_future(make(&addr)?);
        let supervisor = Rc::clone(self);
        let relay = Arc::<Relay>::default();
        let waker = Waker::from(Arc::clone(&relay));
        actix::spawn(SupervisedActor { actor, part, supervisor, back_off: None, relay, waker });
        Ok(addr)
    }

    fn panicked(&self, part: Part, message: String) -> Result<Duration, PolicyStopped> {
        let judged = judge(&mut self.restarts.borrow_mut(), part, &message);
        match &judged {
            Ok(_) => (self.restarted)(part, message),
            Err(reason) => (self.give_up)(reason.clone()),
        }
        judged
    }
}

/// Decides about a panic: restart after this time, or give up for this reason. Logs it.
pub(crate) fn judge(
    restarts: &mut Restarts,
    part: Part,
    message: &str,
) -> Result<Duration, PolicyStopped> {
    match restarts.panicked(Instant::now()) {
        Verdict::Restart(back_off) => {
            trace::error!(%part, message, ?back_off, "panicked; restarting");
            Ok(back_off)
        }
        Verdict::GiveUp(panics) => {
            trace::error!(%part, message, panics, "panicked too often; giving up");
            let (window, message) = (restarts.window(), message.to_owned());
            Err(PolicyStopped::GaveUp { part, panics, window, message })
        }
    }
}

struct SupervisedActor<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    actor: ContextFut<A, Context<A>>,
    part: Part,
    supervisor: Rc<Supervisor>,
    back_off: Option<Pin<Box<Sleep>>>,
    relay: Arc<Relay>,
    /// Wakes through the relay.
    waker: Waker,
}

/// Wakes the actor's task while the task exists. A mailbox keeps its waker while an address of the
/// actor exists, and a task's own waker would keep the runtime and its open descriptors, too.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Relay {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, waker: &Waker) {
        let mut task = self.lock();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(task) = &*self.lock() {
            task.wake_by_ref();
        }
    }
}

impl<A: Actor<Context = Context<A>> + Supervised> Drop for SupervisedActor<A> {
    fn drop(&mut self) {
        let task = self.relay.lock().take();
        drop(task);
    }
}

// The actor is polled in place through `&mut`; nothing here is structurally pinned.
impl<A: Actor<Context = Context<A>> + Supervised> Unpin for SupervisedActor<A> {}

impl<A: Actor<Context = Context<A>> + Supervised> Future for SupervisedActor<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.relay.set(cx.waker());
        loop {
            if let Some(back_off) = &mut this.back_off {
                ready!(back_off.as_mut().poll(cx));
                this.back_off = None;
                if !this.actor.restart() {
                    return Poll::Ready(());
                }
            }
            // After a panic, `restarting` rebuilds the actor's state from what lives outside of it.
            let relayed = &mut std::task::Context::from_waker(&this.waker);
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.actor).poll(relayed)));
            match polled {
                Ok(poll) => return poll,
                Err(panic) => {
                    let message = message_of(&*panic);
                    dispose(panic);
                    match this.supervisor.panicked(this.part, message) {
                        Ok(back_off) => this.back_off = Some(Box::pin(sleep(back_off))),
                        Err(_) => return Poll::Ready(()),
                    }
                }
            }
        }
    }
}
