//! Starts writers, followers and simulations over a log in one process, and stops them.

use crate::{
    config::Config,
    desk::Desk,
    error::Error,
    facts::Facts,
    followed::Followed,
    halted::{Halted, Part},
    intake::Inbox,
    known::Outcomes,
    lane::{Lane, Way},
    ledger::Ledger,
    metrics::Meters,
    outcome::Outcome,
    outside::Outside,
    queue::{Queue, QueueState, queue},
    rate::Rates,
    registrar::Registrar,
    saved_market::SavedMarket,
    snapshots::{Older, Snapshots},
    subject::Subject,
    venue::Venue,
    writer::{State, Writer},
};
use event_log::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX, EventLog, Requests, Topic, VALUE_BYTES_MAX, snapshot::Place};
use event_schemas::{decode_entry, decode_market_entry};
use futures::future::try_join_all;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// Counts the shapes of what a writer saves around what its subject does: lineage, then time.
const STATE_SHAPE: u32 = 2;

/// Longest wait at the start for anything more of the market to be folded: far more than any batch needs. How long all of
/// it may take is as long as it goes on, since without a snapshot that is as long as the market is.
const MARKET_STALLS_S: u64 = 120;

/// What `start` started.
pub struct Running {
    /// Where commands and facts are handed in.
    pub desk: Arc<Desk>,
    stop: watch::Sender<bool>,
    writers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Running {
    /// Takes no more commands, lets the flights under way land, answers what waits, and returns when all tasks have ended.
    pub async fn stop(self) {
        for task in &self.others {
            task.abort();
        }
        self.stop.send_replace(true);
        for task in self.writers.into_iter().chain(self.others) {
            // A task that was stopped or panicked has ended either way.
            drop(task.await);
        }
    }
}

/// Folds the log, claims its partitions and serves.
///
/// Returns once every writer has folded its partition and either holds a live claim or has failed to write one
/// (then commands are answered [`crate::Answer::Busy`] until it can).
///
/// # Errors
/// When a partition cannot be read, is corrupt, or a setting is out of range.
pub async fn start(log: Arc<dyn EventLog>, config: Config) -> Result<Running, Error> {
    check(&config)?;
    let (stop, stopped) = watch::channel(false);
    let mut starting =
        Starting { log, config, stop: stopped, writers: Vec::new(), others: Vec::new(), halted: Halted::default() };
    match starting.desk().await {
        Ok(desk) => Ok(Running { desk, stop, writers: starting.writers, others: starting.others }),
        Err(error) => {
            stop.send_replace(true);
            starting.others.iter().for_each(JoinHandle::abort);
            Err(error)
        }
    }
}

/// Refuses settings that are out of range.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    if config.queue == 0 {
        return Err(Error::Config("the queue must hold at least one command"));
    }
    if config.batch == 0 || config.batch > APPEND_RECORDS_MAX {
        return Err(Error::Config("a batch must hold at least one entry and at most what an append takes"));
    }
    if config.snapshot_entries == 0 {
        return Err(Error::Config("a snapshot must hold at least one entry more than the one before"));
    }
    if config.batch_bytes > APPEND_BYTES_MAX - VALUE_BYTES_MAX {
        return Err(Error::Config("a batch must hold at most what an append takes, less one entry"));
    }
    Ok(())
}

/// What is started so far.
struct Starting {
    log: Arc<dyn EventLog>,
    config: Config,
    stop: watch::Receiver<bool>,
    writers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    halted: Halted,
}

impl Starting {
    /// The market first, as ledger writers serve only once they have folded it.
    async fn desk(&mut self) -> Result<Arc<Desk>, Error> {
        let (log, config) = (Arc::clone(&self.log), self.config.clone());
        let market_partitions = log.partitions(Topic::Market);
        let market =
            self.lane(market_partitions, |p| Facts::new(p, market_partitions, &config), read_market_outcome).await?;
        let simulations = if config.simulated_venue { log.partitions(Topic::Ledger) } else { 0 };
        let followed = Followed::new(market_partitions, simulations);
        follow_market(&log, &config, None, &followed, (&self.halted, &mut self.others)).await?;
        let ledger_partitions = log.partitions(Topic::Ledger);
        let ledger = self
            .lane(ledger_partitions, |_| Ledger::new(Arc::clone(&followed), &config, ledger_partitions), read_outcome)
            .await?;
        let desk = Arc::new(Desk {
            ledger,
            market,
            followed: Some(Arc::clone(&followed)),
            rates: config.account_commands_per_second.map(Rates::new),
            clock: Arc::clone(&config.clock),
            wait: config.wait,
            market_wait: config.market_wait,
            halted: self.halted.clone(),
        });
        simulate(&log, &config, &desk, &followed, &mut self.others);
        Ok(desk)
    }

    /// One writer for each partition of a topic, all folding at once.
    async fn lane<S: Subject>(
        &mut self,
        partitions: u32,
        subject: impl Fn(u32) -> S,
        read_outcome: fn(&[u8]) -> Result<Outcome, event_schemas::DecodeError>,
    ) -> Result<Lane<S::Item>, Error> {
        let (mut queues, mut outcomes, mut readies): (Vec<Queue<S::Item>>, Vec<_>, Vec<_>) = Default::default();
        for partition in 0..partitions {
            let (queue, inbox) = queue(self.config.queue);
            let making = Making { config: &self.config, partition, requests: None, queue: queue.state() };
            let writer = making.writer(subject(partition), self.stop.clone(), |_| Inbox::Desk(inbox));
            outcomes.push(Arc::clone(&writer.outcomes));
            let (ready, is_ready) = oneshot::channel();
            let writing = writer.run(Arc::clone(&self.log), ready);
            self.writers.push(self.halted.spawn(Part::Writer, (S::TOPIC, partition), async move {
                writing.await;
                Ok(())
            }));
            queues.push(queue);
            readies.push(is_ready);
        }
        for ready in readies {
            ready.await.unwrap_or(Err(Error::Config("a writer ended before it served")))?;
        }
        let log = Arc::clone(&self.log);
        Ok(Lane { topic: S::TOPIC, log, way: Way::Here(queues), outcomes, read_outcome, wait: self.config.wait })
    }
}

/// What a writer is made of.
pub(crate) struct Making<'a> {
    pub config: &'a Config,
    pub partition: u32,
    /// Where its commands come from, if not from desks in this process.
    pub requests: Option<&'a Requests>,
    pub queue: Arc<QueueState>,
}

impl Making<'_> {
    /// The writer of a partition; `inbox` is told where keys are that left memory.
    pub(crate) fn writer<S: Subject>(
        self,
        subject: S,
        stop: watch::Receiver<bool>,
        inbox: impl FnOnce(Option<Older>) -> Inbox<S>,
    ) -> Writer<S> {
        let Self { config, partition, requests, queue } = self;
        let outcomes = Arc::new(Outcomes::new());
        let mut state = State::new(Meters::new(S::TOPIC, partition));
        let mut older = None;
        if let (Some(store), Some((place, version))) = (&config.snapshots, snapshot_of::<S>(partition, requests)) {
            let snapshots = Snapshots::new(Arc::clone(store), place, version, config.snapshot_entries);
            older = Some(snapshots.older());
            outcomes.set_older(older.clone());
            state.snapshots = Some(snapshots);
        }
        Writer {
            subject,
            partition,
            inbox: inbox(older),
            queue,
            outcomes,
            clock: Arc::clone(&config.clock),
            batch: config.batch,
            batch_bytes: config.batch_bytes,
            stop,
            state,
        }
    }
}

/// Where a writer keeps its snapshots and of which version they are: those over other requests are of another.
pub(crate) fn snapshot_of<S: Subject>(partition: u32, requests: Option<&Requests>) -> Option<(Place, String)> {
    let (reader, version) = S::snapshots()?;
    let version = format!("{STATE_SHAPE}/{version}");
    let version = match requests {
        Some(requests) => format!("{version}/{}", requests.id()),
        None => version,
    };
    Some((Place { reader, topic: S::TOPIC, partition }, version))
}

/// Follows all of the market from the snapshots of its writers on, and waits until it is folded as it is now.
pub(crate) async fn follow_market(
    log: &Arc<dyn EventLog>,
    config: &Config,
    requests: Option<&Requests>,
    followed: &Arc<Followed>,
    (halted, tasks): (&Halted, &mut Vec<JoinHandle<()>>),
) -> Result<(), Error> {
    let partitions = log.partitions(Topic::Market);
    let failed = |partition| move |source| Error::Log { topic: Topic::Market, partition, source };
    let saved = try_join_all((0..partitions).map(|partition| async move {
        let Some(store) = &config.snapshots else { return Ok(SavedMarket::default()) };
        SavedMarket::of(&**store, &**log, partition, requests).await.map_err(failed(partition))
    }));
    let saved = saved.await?;
    let mut moved = followed.moved();
    let (fails, mut failures) = mpsc::channel(partitions.max(1) as usize);
    let mut ends = Vec::new();
    for (partition, saved) in (0..partitions).zip(saved) {
        // Asked only now, as what was read may hold what was recorded meanwhile.
        ends.push(log.tail(Topic::Market, partition).await.map_err(failed(partition))?);
        let beginning = followed.begin(partition, saved);
        let following = Arc::clone(followed).follow(Arc::clone(log), partition, beginning);
        let fails = fails.clone();
        tasks.push(halted.spawn(Part::Market, (Topic::Market, partition), async move {
            let ended = following.await;
            ended.map_err(|error| {
                let why = error.to_string();
                // Nobody waits for it once all is folded.
                drop(fails.try_send(error));
                why
            })
        }));
    }
    drop(fails);
    // What others record meanwhile is no progress of one that stands still.
    let stalls = || Instant::now() + Duration::from_secs(MARKET_STALLS_S);
    let (mut left, mut until) = (followed.left_to(&ends), stalls());
    while left > 0 {
        tokio::select! {
            // First why, if it is known, as it is of all but a panic.
            biased;
            failure = failures.recv() => return Err(failure.unwrap_or(failed(0)(event_log::Error::Closed))),
            () = halted.any(Part::Market) => return Err(Error::Config("following the market ended badly, as logged")),
            on = timeout_at(until, moved.changed()) => if on.is_err() {
                return Err(Error::Config("the market could not be folded: nothing more of it was read"));
            },
        }
        let still = followed.left_to(&ends);
        if still < left {
            (left, until) = (still, stalls());
        }
    }
    Ok(())
}

/// Starts the simulated exchange and registrar, if they are wanted.
pub(crate) fn simulate(
    log: &Arc<dyn EventLog>,
    config: &Config,
    desk: &Arc<Desk>,
    followed: &Arc<Followed>,
    tasks: &mut Vec<JoinHandle<()>>,
) {
    let partitions = if config.simulated_venue { log.partitions(Topic::Ledger) } else { 0 };
    for partition in 0..partitions {
        let outside = Outside {
            desk: Arc::clone(desk),
            followed: Arc::clone(followed),
            log: Arc::clone(log),
            clock: Arc::clone(&config.clock),
            partition,
            venue: Venue::new(config.calendar, config.partial_fills_seed),
            registrar: Registrar::new(config.calendar, Arc::clone(&config.policy)),
        };
        tasks.push(desk.halted.spawn(Part::Venue, (Topic::Ledger, partition), async move {
            outside.run().await.map_err(|error| error.to_string())
        }));
    }
}

pub(crate) fn read_outcome(value: &[u8]) -> Result<Outcome, event_schemas::DecodeError> {
    decode_entry(value).map(|entry| Outcome::of_entry(&entry))
}

pub(crate) fn read_market_outcome(value: &[u8]) -> Result<Outcome, event_schemas::DecodeError> {
    decode_market_entry(value).map(|entry| Outcome::of_market_entry(&entry))
}
