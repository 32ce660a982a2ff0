//! Reading records that are no longer, or not yet, in memory: consumers that stand where a reader left off, so that one
//! who reads on is served from what was fetched ahead, and others that fetch no more than what is asked, for single
//! records anywhere. Everything here waits; none of it is called from a task.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::sync::Semaphore;

use super::{
    cluster::Cluster,
    errors::is_cut,
    settings::{self, ANSWER_WAIT},
    wire,
};
use crate::{Error, READ_BYTES_MAX, READ_RECORDS_MAX, Stored, Topic};

/// The most consumers of either kind kept for the next reader: each holds a connection and what it fetched ahead.
const IDLE_MAX: usize = 8;
/// The most questions that wait for brokers at once: each holds a thread and a consumer.
const ASKING_MAX: usize = 16;
/// Offsets so near to one another are read in one go; a consumer that is moved fetches anew.
const NEAR: u64 = 512;

/// The consumers of a log that read from where they are told to.
pub(super) struct Readers {
    cluster: Arc<Cluster>,
    /// For those who read on.
    onward: Idle,
    /// For single records. They stand nowhere while they are idle: a broker answers one request of a connection after
    /// the other, so that one who waits there for what is to come would make the next question wait, too.
    single: Idle,
    /// A place for each question under way.
    pub(super) places: Arc<Semaphore>,
}

/// Consumers that wait for the next reader, the one that was used longest ago first.
struct Idle {
    settings: ClientConfig,
    standing: Mutex<Vec<Standing>>,
}

/// A consumer, and where it stands.
struct Standing {
    consumer: BaseConsumer,
    /// None if it was told to fetch nothing.
    place: Option<(Topic, u32)>,
    /// The next record it gives.
    next: u64,
    /// The end of the partition when it was asked for last.
    end: u64,
}

impl Readers {
    pub(super) fn new(cluster: Arc<Cluster>) -> Readers {
        let idle = |settings| Idle { settings, standing: Mutex::default() };
        let onward = idle(settings::reading(&cluster.brokers, "read"));
        let single = idle(settings::reading_single(&cluster.brokers));
        Readers { cluster, onward, single, places: Arc::new(Semaphore::new(ASKING_MAX)) }
    }

    /// Up to `max` records from `from` on, within the limits of one answer; none at or past the end.
    pub(super) fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> Result<Vec<Arc<Stored>>, Error> {
        let mut standing = self.onward.who_stands(&self.cluster, topic, partition, from)?;
        let is_there = standing.is_at(topic, partition, from);
        if !is_there || from >= standing.end {
            let end = self.cluster.end_of(standing.consumer.client(), topic, partition)?;
            if from >= end || max == 0 {
                self.leave(&mut standing)?;
                self.onward.put_back(standing);
                return Ok(Vec::new());
            }
            standing.end = end;
        }
        if !is_there {
            self.stand(&mut standing, topic, partition, from)?;
        }
        let read = self.take(&mut standing, max.min(READ_RECORDS_MAX))?;
        // Nobody reads on from there for now, and it would ask for what is to come.
        if standing.next >= standing.end {
            self.leave(&mut standing)?;
        }
        self.onward.put_back(standing);
        Ok(read)
    }

    /// The records at exactly these ascending offsets.
    pub(super) fn read_at(&self, topic: Topic, partition: u32, offsets: &[u64]) -> Result<Vec<Arc<Stored>>, Error> {
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let mut standing = self.single.any(&self.cluster)?;
        standing.end = self.cluster.end_of(standing.consumer.client(), topic, partition)?;
        let found = self.pick(&mut standing, topic, partition, offsets)?;
        self.leave(&mut standing)?;
        self.single.put_back(standing);
        Ok(found)
    }

    /// Those of these offsets that are before the end.
    fn pick(
        &self,
        standing: &mut Standing,
        topic: Topic,
        partition: u32,
        offsets: &[u64],
    ) -> Result<Vec<Arc<Stored>>, Error> {
        let (mut found, mut bytes): (Vec<Arc<Stored>>, usize) = (Vec::new(), 0);
        let mut rest = offsets;
        while let Some(first) = rest.first().copied() {
            let near = rest.iter().take_while(|offset| **offset - first < NEAR).count();
            let last = rest[near - 1];
            let mut from = first;
            while from <= last {
                if from >= standing.end {
                    return Ok(found);
                }
                if !standing.is_at(topic, partition, from) {
                    self.stand(standing, topic, partition, from)?;
                }
                let span = usize::try_from(last - from + 1).unwrap_or(usize::MAX);
                let batch = self.take(standing, span.min(READ_RECORDS_MAX))?;
                from = batch.last().map_or(from, |stored| stored.offset + 1);
                for stored in batch.into_iter().filter(|stored| rest.binary_search(&stored.offset).is_ok()) {
                    if bytes >= READ_BYTES_MAX || found.len() >= READ_RECORDS_MAX {
                        return Ok(found);
                    }
                    bytes += stored.record.value.len();
                    found.push(stored);
                }
            }
            rest = &rest[near..];
        }
        Ok(found)
    }

    /// The offsets of the records with this key: all from `from` on are looked at, as a broker has no index by key.
    pub(super) fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> Result<Vec<u64>, Error> {
        let (mut found, mut from) = (Vec::new(), from);
        let max = max.min(READ_RECORDS_MAX);
        while found.len() < max {
            let batch = self.read(topic, partition, from, READ_RECORDS_MAX)?;
            let Some(last) = batch.last() else { break };
            from = last.offset + 1;
            let of_key = batch.iter().filter(|stored| stored.record.key.as_deref() == Some(key));
            found.extend(of_key.map(|stored| stored.offset).take(max - found.len()));
        }
        Ok(found)
    }

    /// The end of a partition.
    pub(super) fn end(&self, topic: Topic, partition: u32) -> Result<u64, Error> {
        let standing = self.single.any(&self.cluster)?;
        let end = self.cluster.end_of(standing.consumer.client(), topic, partition)?;
        self.single.put_back(standing);
        Ok(end)
    }

    /// Moves a consumer.
    fn stand(&self, standing: &mut Standing, topic: Topic, partition: u32, from: u64) -> Result<(), Error> {
        let assignment = assignment(self.cluster.of(topic), partition, from);
        let moved = assignment.and_then(|assignment| standing.consumer.assign(&assignment));
        moved.map_err(|error| self.cluster.unreachable(&error))?;
        (standing.place, standing.next) = (Some((topic, partition)), from);
        Ok(())
    }

    /// Lets a consumer fetch nothing more.
    fn leave(&self, standing: &mut Standing) -> Result<(), Error> {
        if standing.place.take().is_none() {
            return Ok(());
        }
        standing.consumer.unassign().map_err(|error| self.cluster.unreachable(&error))
    }

    /// Takes records from where the consumer stands, which is before the end.
    fn take(&self, standing: &mut Standing, max: usize) -> Result<Vec<Arc<Stored>>, Error> {
        let Some((topic, partition)) = standing.place else { return Ok(Vec::new()) };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let until = Instant::now() + ANSWER_WAIT;
        while taken.len() < max && bytes < READ_BYTES_MAX && standing.next < standing.end {
            let wait = until.saturating_duration_since(Instant::now());
            match standing.consumer.poll(wait) {
                // What a consumer that was moved still had of its place before.
                Some(Ok(message))
                    if message.topic() != self.cluster.of(topic)
                        || u32::try_from(message.partition()) != Ok(partition) => {}
                Some(Ok(message)) => {
                    let stored = match wire::incoming(topic, partition, &message) {
                        Ok(stored) => stored,
                        // What came before it is given first; asked again, it is the first.
                        Err(_) if !taken.is_empty() => {
                            standing.next = u64::MAX;
                            return Ok(taken);
                        }
                        Err(error) => return Err(error),
                    };
                    if stored.offset != standing.next {
                        let (wanted, found) = (standing.next, stored.offset);
                        let reason = format!("offset {found} follows where {wanted} should");
                        return Err(Error::Cut { topic, partition, reason });
                    }
                    standing.next = stored.offset + 1;
                    bytes += stored.record.value.len();
                    taken.push(stored);
                }
                Some(Err(error)) if is_cut(&error) => {
                    let from = standing.next;
                    return Err(Error::Cut {
                        topic,
                        partition,
                        reason: format!("offset {from} is not there: {error}"),
                    });
                }
                // The client connects again by itself.
                Some(Err(error)) => tracing::debug!(%topic, partition, %error, "reading goes on"),
                None if taken.is_empty() => {
                    let reason = format!(
                        "{} gave no record of {topic} partition {partition} from offset {} within {} s",
                        self.cluster.brokers,
                        standing.next,
                        ANSWER_WAIT.as_secs()
                    );
                    return Err(Error::Unreachable { reason });
                }
                None => return Ok(taken),
            }
        }
        Ok(taken)
    }
}

impl Standing {
    fn is_at(&self, topic: Topic, partition: u32, from: u64) -> bool {
        self.place == Some((topic, partition)) && self.next == from
    }
}

impl Idle {
    /// The consumer that stands there, or one that stands nowhere, or a new one.
    fn who_stands(&self, cluster: &Cluster, topic: Topic, partition: u32, from: u64) -> Result<Standing, Error> {
        let mut standing = self.standing.lock();
        let there = standing.iter().position(|idle| idle.is_at(topic, partition, from));
        let free = || standing.iter().position(|idle| idle.place.is_none());
        // The one that was used longest ago is moved, once there are as many as are kept.
        let any = there.or_else(free).or((standing.len() >= IDLE_MAX).then_some(0));
        if let Some(any) = any {
            return Ok(standing.remove(any));
        }
        drop(standing);
        self.make(cluster)
    }

    /// Any consumer, wherever it stands, or a new one.
    fn any(&self, cluster: &Cluster) -> Result<Standing, Error> {
        let any = self.standing.lock().pop();
        any.map_or_else(|| self.make(cluster), Ok)
    }

    fn make(&self, cluster: &Cluster) -> Result<Standing, Error> {
        let consumer = BaseConsumer::from_config(&self.settings).map_err(|error| cluster.unreachable(&error))?;
        Ok(Standing { consumer, place: None, next: 0, end: 0 })
    }

    fn put_back(&self, used: Standing) {
        let mut standing = self.standing.lock();
        if standing.len() < IDLE_MAX {
            standing.push(used);
        }
    }
}

/// One partition, from an offset on.
pub(super) fn assignment(topic: &str, partition: u32, from: u64) -> Result<TopicPartitionList, KafkaError> {
    let mut assignment = TopicPartitionList::new();
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    let from = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
    assignment.add_partition_offset(topic, partition, from)?;
    Ok(assignment)
}

#[cfg(test)]
mod tests;
