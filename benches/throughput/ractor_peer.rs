//! ractor's thread-local actors: sender and receivers on its one spawner's thread, as the others'
//! are on theirs.

use std::time::{Duration, Instant};

use ractor::{
    ActorProcessingErr, ActorRef, RpcReplyPort,
    thread_local::{ThreadLocalActor, ThreadLocalActorSpawner},
};
use tokio::sync::oneshot;

enum ToReceiver {
    Tell(u64),
    Ask(u64, RpcReplyPort<u64>),
}

#[derive(Default)]
struct Receiver;

impl ThreadLocalActor for Receiver {
    type Msg = ToReceiver;
    type State = (u64, Option<oneshot::Sender<()>>);
    type Arguments = (u64, oneshot::Sender<()>);

    async fn pre_start(
        &self,
        _: ActorRef<ToReceiver>,
        (left, done): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((left, Some(done)))
    }

    async fn handle(
        &self,
        _: ActorRef<ToReceiver>,
        message: ToReceiver,
        (left, done): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToReceiver::Tell(number) => {
                std::hint::black_box(number);
                *left -= 1;
                if *left == 0 {
                    done.take().unwrap().send(()).unwrap();
                }
            }
            ToReceiver::Ask(number, reply) => reply.send(number)?,
        }
        Ok(())
    }
}

/// What the sending actor is to do: so many rounds to all of these, told or asked.
struct Job {
    receivers: Vec<ActorRef<ToReceiver>>,
    done: Vec<oneshot::Receiver<()>>,
    rounds: u64,
    ask: bool,
    took: oneshot::Sender<Duration>,
}

#[derive(Default)]
struct Sender;

impl ThreadLocalActor for Sender {
    type Msg = Job;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Job>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Job>,
        job: Job,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let begin = Instant::now();
        for number in 0..job.rounds {
            for receiver in &job.receivers {
                if job.ask {
                    assert_eq!(ractor::call!(receiver, ToReceiver::Ask, number)?, number);
                } else {
                    receiver.send_message(ToReceiver::Tell(number))?;
                }
            }
            if job.receivers.len() > 1 {
                tokio::task::yield_now().await;
            }
        }
        if !job.ask {
            futures::future::try_join_all(job.done).await?;
        }
        job.took.send(begin.elapsed()).map_err(|_| "nobody takes the time".into())
    }
}

fn run(recipients: usize, rounds: u64, ask: bool) -> Duration {
    actix_process_benches::current_thread().block_on(async {
        let spawner = ThreadLocalActorSpawner::new();
        let (mut receivers, mut done, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..recipients {
            let (send, receive) = oneshot::channel();
            let (receiver, handle) =
                Receiver::spawn(None, (rounds, send), spawner.clone()).await.unwrap();
            receivers.push(receiver);
            done.push(receive);
            handles.push(handle);
        }
        let (sender, handle) = Sender::spawn(None, (), spawner).await.unwrap();
        handles.push(handle);
        let (took, taken) = oneshot::channel();
        let all = receivers.clone();
        sender.send_message(Job { receivers, done, rounds, ask, took }).unwrap();
        let took = taken.await.unwrap();
        all.iter().for_each(|receiver| receiver.stop(None));
        sender.stop(None);
        futures::future::try_join_all(handles).await.unwrap();
        took
    })
}

pub(crate) fn tell(messages: u64) -> Duration {
    run(1, messages, false)
}

pub(crate) fn ask(messages: u64) -> Duration {
    run(1, messages, true)
}

pub(crate) fn fan_out(recipients: usize, rounds: u64) -> Duration {
    run(recipients, rounds, false)
}
