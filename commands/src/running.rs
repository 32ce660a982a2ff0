//! Starts writers, followers and simulations over a log, and stops them.

use crate::{
    config::Config,
    desk::Desk,
    error::Error,
    facts::Facts,
    followed::Followed,
    known::Outcomes,
    lane::Lane,
    ledger::Ledger,
    metrics::Meters,
    outcome::Outcome,
    outside::Outside,
    queue::{Queue, queue},
    rate::Rates,
    registrar::Registrar,
    snapshots::Snapshots,
    subject::Subject,
    venue::Venue,
    writer::{State, Writer},
};
use event_log::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX, EventLog, Topic, VALUE_BYTES_MAX, snapshot::Place};
use event_schemas::{decode_entry, decode_market_entry};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// Longest wait at the start for the market to be folded: an hour is far more than any log needs.
const MARKET_START_S: u64 = 3_600;

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
    let mut starting = Starting { log, config, stop: stopped, writers: Vec::new(), others: Vec::new() };
    match starting.desk().await {
        Ok(desk) => Ok(Running { desk, stop, writers: starting.writers, others: starting.others }),
        Err(error) => {
            stop.send_replace(true);
            starting.others.iter().for_each(JoinHandle::abort);
            Err(error)
        }
    }
}

fn check(config: &Config) -> Result<(), Error> {
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
        let mut ends = Vec::new();
        for partition in 0..market_partitions {
            let failed = |source| Error::Log { topic: Topic::Market, partition, source };
            ends.push(log.tail(Topic::Market, partition).await.map_err(failed)?);
            let following = Arc::clone(&followed).follow(Arc::clone(&log), partition);
            self.others.push(tokio::spawn(async move {
                if let Err(error) = following.await {
                    tracing::error!(partition, %error, "the market can be followed no further");
                }
            }));
        }
        if !followed.reach(&ends, Duration::from_secs(MARKET_START_S)).await {
            return Err(Error::Config("the market could not be folded"));
        }
        let ledger_partitions = log.partitions(Topic::Ledger);
        let books_max = (config.books_max / ledger_partitions as usize).max(1);
        let ledger = self
            .lane(ledger_partitions, |_| Ledger::new(Arc::clone(&followed), &config, books_max), read_outcome)
            .await?;
        let desk = Arc::new(Desk {
            ledger,
            market,
            followed,
            rates: config.account_commands_per_second.map(Rates::new),
            clock: Arc::clone(&config.clock),
            wait: config.wait,
            market_wait: config.market_wait,
        });
        for partition in 0..simulations {
            let outside = Outside {
                desk: Arc::clone(&desk),
                log: Arc::clone(&log),
                clock: Arc::clone(&config.clock),
                partition,
                venue: Venue::new(config.calendar, config.partial_fills_seed),
                registrar: Registrar::new(config.calendar, Arc::clone(&config.policy)),
            };
            self.others.push(tokio::spawn(async move {
                if let Err(error) = outside.run().await {
                    tracing::error!(partition, %error, "the simulated venue halts");
                }
            }));
        }
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
            let known = Arc::new(Outcomes::new());
            let subject = subject(partition);
            let mut state = State::new(Meters::new(S::TOPIC, partition));
            if let (Some(store), Some((reader, version))) = (&self.config.snapshots, subject.snapshots()) {
                let place = Place { reader, topic: S::TOPIC, partition };
                let snapshots = Snapshots::new(Arc::clone(store), place, version, self.config.snapshot_entries);
                known.set_older(Some(snapshots.older()));
                state.snapshots = Some(snapshots);
            }
            let writer = Writer {
                subject,
                partition,
                inbox,
                queue: queue.state(),
                outcomes: Arc::clone(&known),
                clock: Arc::clone(&self.config.clock),
                batch: self.config.batch,
                batch_bytes: self.config.batch_bytes,
                stop: self.stop.clone(),
                state,
            };
            let (ready, is_ready) = oneshot::channel();
            self.writers.push(tokio::spawn(writer.run(Arc::clone(&self.log), ready)));
            queues.push(queue);
            outcomes.push(known);
            readies.push(is_ready);
        }
        for ready in readies {
            ready.await.unwrap_or(Err(Error::Config("a writer ended before it served")))?;
        }
        let log = Arc::clone(&self.log);
        Ok(Lane { topic: S::TOPIC, log, queues, outcomes, read_outcome, wait: self.config.wait })
    }
}

fn read_outcome(value: &[u8]) -> Result<Outcome, event_schemas::DecodeError> {
    decode_entry(value).map(|entry| Outcome::of_entry(&entry))
}

fn read_market_outcome(value: &[u8]) -> Result<Outcome, event_schemas::DecodeError> {
    decode_market_entry(value).map(|entry| Outcome::of_market_entry(&entry))
}
