//! The writers of a process that answers requests: one for each partition that it was given, started and stopped as
//! partitions come and go. Which those are is a hint of whoever gives them; the ledger rule says who writes.

use crate::{
    config::Config,
    error::Error,
    facts::Facts,
    followed::Followed,
    halted::Halted,
    intake::{Inbox, Intake},
    ledger::Ledger,
    queue::queue,
    running::{Making, check, follow_market},
    subject::Subject,
};
use event_log::{EventLog, Requests, Topic};
use futures::FutureExt;
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

/// How long until a writer that could not start is started again.
const START_AGAIN_MS: u64 = 1_000;

/// A partition of answers, which its writer answers requests in.
pub type Partition = (Topic, u32);

/// Writers at work; dropping it ends them as a crash would.
pub struct Writing {
    stop: watch::Sender<bool>,
    served: watch::Receiver<BTreeSet<Partition>>,
    tending: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
    halted: Halted,
}

impl Writing {
    /// The partitions whose writers have folded them, claimed them, and answer.
    pub fn served(&self) -> watch::Receiver<BTreeSet<Partition>> {
        self.served.clone()
    }

    /// Says whether the market is still followed, which all decisions go by; in words, which of its partitions is not.
    pub fn following(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let (halted, tending) = (self.halted.clone(), self.tending.abort_handle());
        move || match tending.is_finished() {
            true => Err("nobody starts writers any more".to_owned()),
            false => halted.is_empty(),
        }
    }

    /// Lets what is under way land and ends all writers.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Whether it ended or panicked, it has ended.
        drop((&mut self.tending).await);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.tending.abort();
        self.others.iter().for_each(JoinHandle::abort);
    }
}

/// Answers the requests of the partitions that `given` names, as it changes.
///
/// Returns once the market is folded, which all decisions go by.
///
/// # Errors
/// When the market cannot be read, or a setting is out of range.
pub async fn write(
    log: Arc<dyn EventLog>,
    requests: Requests,
    config: Config,
    given: watch::Receiver<BTreeSet<Partition>>,
) -> Result<Writing, Error> {
    check(&config)?;
    let followed = Followed::new(log.partitions(Topic::Market), 0);
    let (halted, mut others) = (Halted::default(), Vec::new());
    if let Err(error) = follow_market(&log, &config, Some(&requests), &followed, (&halted, &mut others)).await {
        others.iter().for_each(JoinHandle::abort);
        return Err(error);
    }
    let (stop, stopped) = watch::channel(false);
    let (serving, served) = watch::channel(BTreeSet::new());
    let tending = Tending { log, requests, config, followed, given, stopped, serving, writers: HashMap::new() };
    Ok(Writing { stop, served, tending: tokio::spawn(tending.run()), others, halted })
}

/// How a writer ended.
enum Ended {
    /// It was told to, or can be started again.
    Over,
    /// It is started again after a while: why, in words.
    Failed(String),
    /// Its partition cannot be written as it is.
    Halted(Error),
}

struct Tending {
    log: Arc<dyn EventLog>,
    requests: Requests,
    config: Config,
    followed: Arc<Followed>,
    given: watch::Receiver<BTreeSet<Partition>>,
    stopped: watch::Receiver<bool>,
    serving: watch::Sender<BTreeSet<Partition>>,
    /// How each writer is told to stop.
    writers: HashMap<Partition, watch::Sender<bool>>,
}

impl Tending {
    async fn run(mut self) {
        let mut running: JoinSet<(Partition, Ended)> = JoinSet::new();
        let mut halted: BTreeSet<Partition> = BTreeSet::new();
        loop {
            let stopping = *self.stopped.borrow_and_update();
            let wanted = if stopping { BTreeSet::new() } else { self.given.borrow_and_update().clone() };
            for (partition, stop) in &self.writers {
                if !wanted.contains(partition) {
                    stop.send_replace(true);
                }
            }
            halted.retain(|partition| wanted.contains(partition));
            for partition in &wanted {
                // One that ends is waited for first.
                if !self.writers.contains_key(partition) && !halted.contains(partition) {
                    self.start(*partition, &mut running);
                }
            }
            if stopping && running.is_empty() {
                return;
            }
            tokio::select! {
                _ = self.stopped.changed(), if !stopping => {}
                changed = self.given.changed(), if !stopping => if changed.is_err() {
                    // Nobody gives partitions any more; what is held goes on until told to stop.
                    drop(self.stopped.changed().await);
                },
                Some(ended) = running.join_next() => {
                    let Ok((partition, ended)) = ended else { continue };
                    self.writers.remove(&partition);
                    self.serving.send_if_modified(|serving| serving.remove(&partition));
                    let (topic, number) = partition;
                    match ended {
                        Ended::Over => {}
                        Ended::Failed(reason) => {
                            tracing::warn!(%topic, partition = number, reason, "a writer ended; it is started again");
                        }
                        Ended::Halted(error) => {
                            tracing::error!(%topic, partition = number, %error, "the partition cannot be written");
                            halted.insert(partition);
                        }
                    }
                }
            }
        }
    }

    fn start(&mut self, partition: Partition, running: &mut JoinSet<(Partition, Ended)>) {
        let (stop, stopped) = watch::channel(false);
        self.writers.insert(partition, stop);
        let (topic, number) = partition;
        match topic {
            Topic::Ledger => {
                let partitions = self.log.partitions(Topic::Ledger);
                let ledger = Ledger::new(Arc::clone(&self.followed), &self.config, partitions);
                let market = Some((Arc::clone(&self.followed), self.config.market_wait));
                self.spawn(ledger, number, market, stopped, running);
            }
            Topic::Market => {
                let facts = Facts::new(number, self.log.partitions(Topic::Market), &self.config);
                self.spawn(facts, number, None, stopped, running);
            }
        }
    }

    fn spawn<S: Subject>(
        &self,
        subject: S,
        partition: u32,
        market: Option<(Arc<Followed>, Duration)>,
        stopped: watch::Receiver<bool>,
        running: &mut JoinSet<(Partition, Ended)>,
    ) {
        let (requests, log) = (self.requests.clone(), Arc::clone(&self.log));
        let (queue, _closed) = queue::<S::Item>(1);
        let making = Making { config: &self.config, partition, requests: Some(&self.requests), queue: queue.state() };
        let answers = Arc::clone(&log);
        let writer = making.writer(subject, stopped.clone(), |older| {
            Inbox::Log(Intake::new(requests, answers, partition, market, older))
        });
        let (ready, is_ready) = oneshot::channel();
        let place = (S::TOPIC, partition);
        let telling = tell(place, queue.state().watch(), self.serving.clone());
        running.spawn(async move {
            let writing = async move {
                writer.run(log, ready).await;
                match is_ready.await {
                    Ok(Err(error @ Error::Log { .. })) => Ended::Failed(error.to_string()),
                    Ok(Err(error)) => Ended::Halted(error),
                    Ok(Ok(())) | Err(_) => Ended::Over,
                }
            };
            let writing = AssertUnwindSafe(writing).catch_unwind();
            let ended = tokio::select! {
                ended = writing => ended.unwrap_or_else(|_| Ended::Failed("it panicked".to_owned())),
                never = telling => match never {},
            };
            if matches!(ended, Ended::Failed(_)) {
                let mut stopped = stopped;
                let wait = Duration::from_millis(START_AGAIN_MS);
                drop(tokio::time::timeout(wait, stopped.wait_for(|stop| *stop)).await.map(drop));
            }
            (place, ended)
        });
    }
}

/// Says of a partition whether its writer serves it, as that changes: not while it claims, recovers or has halted.
async fn tell(
    place: Partition,
    mut serves: watch::Receiver<bool>,
    serving: watch::Sender<BTreeSet<Partition>>,
) -> Infallible {
    loop {
        let now = *serves.borrow_and_update();
        serving.send_if_modified(|serving| if now { serving.insert(place) } else { serving.remove(&place) });
        if serves.changed().await.is_err() {
            // The writer is gone, and whoever waits for it says so.
            std::future::pending::<()>().await;
        }
    }
}
