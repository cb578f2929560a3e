//! tokio's unbounded channel and a task that drains it: the floor.

use std::time::{Duration, Instant};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use actix_process_benches::current_thread;

fn drain(messages: u64) -> (mpsc::UnboundedSender<u64>, JoinHandle<()>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let drained = tokio::spawn(async move {
        for _ in 0..messages {
            std::hint::black_box(receiver.recv().await.unwrap());
        }
    });
    (sender, drained)
}

pub(crate) fn tell(messages: u64) -> Duration {
    current_thread().block_on(async {
        let (sender, drained) = drain(messages);
        let begin = Instant::now();
        (0..messages).for_each(|number| sender.send(number).unwrap());
        drained.await.unwrap();
        begin.elapsed()
    })
}

pub(crate) fn ask(messages: u64) -> Duration {
    current_thread().block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel::<(u64, oneshot::Sender<u64>)>();
        tokio::spawn(async move {
            while let Some((number, reply)) = receiver.recv().await {
                reply.send(number).unwrap();
            }
        });
        let begin = Instant::now();
        for number in 0..messages {
            let (reply, answer) = oneshot::channel();
            sender.send((number, reply)).unwrap();
            assert_eq!(answer.await.unwrap(), number);
        }
        begin.elapsed()
    })
}

pub(crate) fn fan_out(recipients: usize, rounds: u64) -> Duration {
    current_thread().block_on(async {
        let (senders, drained): (Vec<_>, Vec<_>) = (0..recipients).map(|_| drain(rounds)).unzip();
        let begin = Instant::now();
        for number in 0..rounds {
            senders.iter().for_each(|sender| sender.send(number).unwrap());
            tokio::task::yield_now().await;
        }
        futures::future::try_join_all(drained).await.unwrap();
        begin.elapsed()
    })
}
