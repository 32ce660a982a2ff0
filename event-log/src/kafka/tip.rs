//! What is appended from now on, of every partition that somebody follows: one consumer and one thread for all of
//! them, so that many followers cost one reading.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    Message,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};

use super::{cluster::Cluster, errors::is_lost_connection, reading::assignment, settings, wire};
use crate::{Error, Stored, Topic, live::Live};

/// How long the thread waits for records before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The most records published together.
const TOGETHER_MAX: usize = 1024;

type Place = (Topic, u32);

/// The newest records of the partitions that are followed.
pub(super) struct Tip {
    cluster: Arc<Cluster>,
    consumer: BaseConsumer,
    lanes: HashMap<Place, Lane>,
    closed: AtomicBool,
    /// Whether following may have ended somewhere.
    doubted: AtomicBool,
}

struct Lane {
    live: Live,
    begun: AtomicBool,
    /// Held while the partition begins to be followed.
    beginning: Mutex<()>,
    /// Why nothing more can be followed.
    cut: Mutex<Option<Box<str>>>,
}

impl Tip {
    /// Starts the thread; it ends when this is dropped or closed.
    pub(super) fn start(cluster: Arc<Cluster>, places: Vec<Place>, bytes_max: usize) -> Result<Arc<Tip>, Error> {
        let consumer = BaseConsumer::from_config(&settings::reading(&cluster.brokers, "follow"));
        let consumer = consumer.map_err(|error| cluster.unreachable(&error))?;
        let bytes_max = bytes_max / places.len().max(1);
        let lane = || Lane {
            live: Live::new(0, bytes_max),
            begun: AtomicBool::new(false),
            beginning: Mutex::default(),
            cut: Mutex::default(),
        };
        let lanes = places.into_iter().map(|place| (place, lane())).collect();
        let tip =
            Arc::new(Tip { cluster, consumer, lanes, closed: AtomicBool::new(false), doubted: AtomicBool::new(false) });
        let followed = Arc::downgrade(&tip);
        let thread = thread::Builder::new().name("bahi-follow".to_owned());
        thread.spawn(move || run(&followed)).map_err(|error| Error::Unreachable {
            reason: format!("no thread could be started to follow the log: {error}"),
        })?;
        Ok(tip)
    }

    /// The newest records of a partition; those before they began are only at the broker.
    pub(super) fn live(&self, topic: Topic, partition: u32) -> Option<&Live> {
        self.lanes.get(&(topic, partition)).map(|lane| &lane.live)
    }

    /// Why a partition can be followed no further.
    pub(super) fn cut(&self, topic: Topic, partition: u32) -> Result<(), Error> {
        let reason = self.lanes.get(&(topic, partition)).and_then(|lane| lane.cut.lock().clone());
        reason.map_or(Ok(()), |reason| Err(Error::Cut { topic, partition, reason: reason.into() }))
    }

    /// Whether the partition is being followed already.
    pub(super) fn has_begun(&self, topic: Topic, partition: u32) -> bool {
        self.lanes.get(&(topic, partition)).is_some_and(|lane| lane.begun.load(Ordering::Acquire))
    }

    /// Begins to follow a partition from its end as it is now; waits for the broker.
    pub(super) fn begin(&self, topic: Topic, partition: u32) -> Result<(), Error> {
        let lane = self.lanes.get(&(topic, partition)).ok_or(Error::NoPartition { topic, partition })?;
        let _only_one = lane.beginning.lock();
        if lane.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let end = self.cluster.end_of(self.consumer.client(), topic, partition)?;
        lane.live.skip_to(end);
        let from = assignment(self.cluster.of(topic), partition, end);
        let assigned = from.and_then(|from| self.consumer.incremental_assign(&from));
        assigned.map_err(|error| self.cluster.unreachable(&error))?;
        lane.begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Tells followers that nothing more comes.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lanes.values().for_each(|lane| lane.live.close());
    }

    /// Publishes what came, up to so many records.
    fn poll(&self, came: &mut HashMap<Place, Vec<Arc<Stored>>>) {
        let mut wait = LOOK_EVERY;
        for _ in 0..TOGETHER_MAX {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => self.take(&message, came),
                // The client connects again by itself and goes on where it was.
                Some(Err(error)) if is_lost_connection(&error) => tracing::debug!(%error, "following goes on"),
                Some(Err(error)) => {
                    // The client does not say which of its partitions it was, and follows that one no more.
                    tracing::error!(%error, "following the log failed; each partition is asked about");
                    self.doubted.store(true, Ordering::Release);
                }
                None => break,
            }
            wait = Duration::ZERO;
        }
        for (place, records) in came.iter_mut() {
            self.lanes[place].live.publish(records);
            records.clear();
        }
        if self.doubted.load(Ordering::Acquire) {
            self.look_again();
        }
    }

    /// After an error that may have ended any of them: goes on with the partitions that still have what they had, and
    /// ends those that do not.
    fn look_again(&self) {
        let mut asked_all = true;
        for ((topic, partition), lane) in &self.lanes {
            if !lane.begun.load(Ordering::Acquire) || lane.cut.lock().is_some() {
                continue;
            }
            let from = lane.live.end();
            let resumed = self.cluster.end_of(self.consumer.client(), *topic, *partition).and_then(|_end| {
                let place = assignment(self.cluster.of(*topic), *partition, from);
                let again = place.and_then(|place| {
                    self.consumer.incremental_unassign(&place)?;
                    self.consumer.incremental_assign(&place)
                });
                again.map_err(|error| self.cluster.unreachable(&error))
            });
            match resumed {
                Ok(()) => {}
                Err(Error::Cut { reason, .. }) => {
                    tracing::error!(%topic, partition, reason, "the log was cut or made anew; it is followed no further");
                    *lane.cut.lock() = Some(reason.into());
                    lane.live.close();
                }
                Err(error) => {
                    tracing::error!(%topic, partition, %error, "following waits for a broker");
                    asked_all = false;
                }
            }
        }
        self.doubted.store(!asked_all, Ordering::Release);
    }

    fn take(&self, message: &BorrowedMessage<'_>, came: &mut HashMap<Place, Vec<Arc<Stored>>>) {
        let partition = message.partition().unsigned_abs();
        let Some(topic) = self.cluster.topic(message.topic()) else { return };
        let place = (topic, partition);
        let Some(lane) = self.lanes.get(&place) else { return };
        let waiting = came.entry(place).or_default();
        let expected = waiting.last().map_or(lane.live.end(), |last| last.offset + 1);
        match wire::incoming(topic, partition, message) {
            Ok(stored) if stored.offset == expected => waiting.push(stored),
            // A foreign record, or a gap: whoever follows meets it at the broker, and is told.
            read => {
                if let Err(error) = read {
                    tracing::error!(%error, "a record of the log is not one of ours");
                }
                lane.live.publish(waiting);
                waiting.clear();
                lane.live.skip_to(wire::offset(message).map_or(expected, |offset| offset + 1));
            }
        }
    }
}

fn run(followed: &Weak<Tip>) {
    let mut came = HashMap::new();
    while let Some(tip) = followed.upgrade() {
        if tip.closed.load(Ordering::Acquire) {
            return;
        }
        tip.poll(&mut came);
    }
}

#[cfg(test)]
mod tests;
