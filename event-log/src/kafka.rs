//! The log on a Kafka cluster, for a product of many processes; knows no other store.
//!
//! The ledger rule ([`crate::rule`]) says what counts, so no broker transaction is used: `appending` writes in flights
//! that are durable on every copy that must have them, `tip` follows what is new of all partitions with one consumer,
//! `reading` fetches what is older, `group` says which process should write what, `cluster` knows names and ends. Settings of the client are in `settings`, those of the
//! topics in `topics`.

mod appending;
mod cluster;
mod errors;
mod flush;
mod group;
mod reading;
mod settings;
mod tip;
mod topics;
mod wire;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::FutureExt;
use parking_lot::Mutex;
use rdkafka::{
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use uuid::Uuid;

use self::{
    appending::Queue,
    cluster::{Cluster, identity},
    reading::Readers,
    tip::Tip,
};
use crate::{
    BoxFuture, Error, EventLog, Follow, Follower, Record, Requests, Stored, Topic, check_append,
    live::{FOLLOW_RECORDS_MAX, past},
};

pub use group::{Given, Group};
pub use topics::{Layout, Step, Topics, Wanted};

/// About the most bytes kept in memory for followers, over all partitions.
const LIVE_BYTES_MAX: usize = 64 << 20;
/// What topics are called before their dot, unless told otherwise.
pub const PREFIX: &str = "bahi";

/// The log on a cluster. Dropping it lets what waits be appended.
pub struct Kafka {
    cluster: Arc<Cluster>,
    partitions: u32,
    commands_id: Uuid,
    queues: Mutex<HashMap<(Topic, u32), Arc<Queue>>>,
    readers: Arc<Readers>,
    tip: Arc<Tip>,
    closed: AtomicBool,
}

impl Kafka {
    /// Opens the log whose topics have this prefix ([`PREFIX`] as a rule) at these brokers (`host:port`, by commas).
    ///
    /// # Errors
    /// In one line that says what to do: no broker answers, a topic is missing or set up so that records could be
    /// lost, or the log has no identity.
    pub async fn open(brokers: &str, prefix: &str) -> Result<Kafka, Error> {
        let topics = Topics::new(brokers, prefix)?;
        topics.check().await?;
        let cluster = Arc::new(Cluster::new(brokers, prefix)?);
        let opening = Arc::clone(&cluster);
        let opened = waited(move || {
            let consumer = BaseConsumer::from_config(&settings::reading(&opening.brokers, "open"));
            let consumer: BaseConsumer = consumer.map_err(|error| opening.unreachable(&error))?;
            let found = opening.metadata(consumer.client())?;
            let partitions = found.get(opening.of(Topic::Ledger)).map_or(0, |(partitions, _)| *partitions);
            Ok((partitions, identity(&opening, &consumer)?))
        });
        let (partitions, commands_id) = opened.await?;
        Kafka::over(cluster, partitions, commands_id)
    }

    /// The commands and facts of this log, on their way to be answered.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn requests(&self) -> Result<Requests, Error> {
        let requests = Kafka::over(Arc::new(self.cluster.requests()), self.partitions, self.commands_id)?;
        Ok(Requests::new(Arc::new(requests)))
    }

    /// Joins the group of those who write the answers of this log.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn join_writers(&self, giving: Arc<Given>) -> Result<Group, Error> {
        Group::join(self.cluster.requests(), self.cluster.prefix(), giving)
    }

    fn over(cluster: Arc<Cluster>, partitions: u32, commands_id: Uuid) -> Result<Kafka, Error> {
        let places = Topic::ALL.into_iter().flat_map(|topic| (0..partitions).map(move |p| (topic, p))).collect();
        let tip = Tip::start(Arc::clone(&cluster), places, LIVE_BYTES_MAX)?;
        let readers = Arc::new(Readers::new(Arc::clone(&cluster)));
        Ok(Kafka {
            cluster,
            partitions,
            commands_id,
            queues: Mutex::default(),
            readers,
            tip,
            closed: AtomicBool::new(false),
        })
    }

    /// Takes no more appends, lets what waits be appended, and ends every following once it has given all there is.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.queues.lock().values().for_each(|queue| queue.close());
        self.tip.close();
    }

    fn check(&self, topic: Topic, partition: u32) -> Result<(), Error> {
        if partition < self.partitions { Ok(()) } else { Err(Error::NoPartition { topic, partition }) }
    }

    /// The queue of a partition; its thread starts with the first append.
    fn queue(&self, topic: Topic, partition: u32) -> Result<Arc<Queue>, Error> {
        let mut queues = self.queues.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if let Some(queue) = queues.get(&(topic, partition)) {
            return Ok(Arc::clone(queue));
        }
        let queue = Arc::new(Queue::default());
        appending::start(Arc::clone(&self.cluster), topic, partition, Arc::clone(&queue))?;
        queues.insert((topic, partition), Arc::clone(&queue));
        Ok(queue)
    }

    /// Asks the readers, on a thread that may wait.
    fn ask<T: Send + 'static>(
        &self,
        topic: Topic,
        partition: u32,
        ask: impl FnOnce(&Readers) -> Result<T, Error> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Error>> {
        if let Err(error) = self.check(topic, partition) {
            return std::future::ready(Err(error)).boxed();
        }
        asked(Arc::clone(&self.readers), ask).boxed()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.close();
    }
}

async fn asked<T: Send + 'static>(
    readers: Arc<Readers>,
    ask: impl FnOnce(&Readers) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // The semaphore is never closed.
    let place = Arc::clone(&readers.places).acquire_owned().await;
    waited(move || {
        // Until its thread is done, whether or not anybody still waits for that.
        let _place = place;
        ask(&readers)
    })
    .await
}

/// What a client does while its thread waits, on one that may.
async fn waited<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|why| Err(Error::Unreachable { reason: why.to_string() }))
}

impl EventLog for Kafka {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.partitions
    }

    fn commands_id(&self) -> Uuid {
        self.commands_id
    }

    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        let queue = self.check(topic, partition).and_then(|()| check_append(&records));
        match queue.and_then(|()| self.queue(topic, partition)) {
            Ok(queue) => {
                let answered = queue.push(at, records);
                async { answered.await.unwrap_or(Err(Error::Closed)) }.boxed()
            }
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        match self.tip.live(topic, partition).and_then(|live| live.read(from, max)) {
            Some(records) => std::future::ready(Ok(records)).boxed(),
            None => self.ask(topic, partition, move |readers| readers.read(topic, partition, from, max)),
        }
    }

    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        if let [offset] = offsets[..]
            && let Some(record) = self.tip.live(topic, partition).and_then(|live| live.read(offset, 1))
        {
            return std::future::ready(Ok(record)).boxed();
        }
        self.ask(topic, partition, move |readers| readers.read_at(topic, partition, &offsets))
    }

    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        let key = key.to_owned();
        self.ask(topic, partition, move |readers| readers.offsets_of(topic, partition, &key, from, max))
    }

    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        self.ask(topic, partition, move |readers| readers.end(topic, partition))
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        let (tip, readers) = (Arc::clone(&self.tip), Arc::clone(&self.readers));
        Follow::new(KafkaFollower { tip, readers, topic, partition, next: from })
    }
}

struct KafkaFollower {
    tip: Arc<Tip>,
    readers: Arc<Readers>,
    topic: Topic,
    partition: u32,
    next: u64,
}

impl KafkaFollower {
    async fn step(&mut self) -> Result<Vec<Arc<Stored>>, Error> {
        let Self { topic, partition, next: from, .. } = *self;
        let live = self.tip.live(topic, partition).ok_or(Error::NoPartition { topic, partition })?;
        if !self.tip.has_begun(topic, partition) {
            let tip = Arc::clone(&self.tip);
            asked(Arc::clone(&self.readers), move |_| tip.begin(topic, partition)).await?;
        }
        let mut ends = live.watch();
        if let Err(closed) = past(&mut ends, from).await {
            return self.tip.cut(topic, partition).and(Err(closed));
        }
        if let Some(records) = live.read(from, FOLLOW_RECORDS_MAX) {
            return Ok(records);
        }
        let read = move |readers: &Readers| readers.read(topic, partition, from, FOLLOW_RECORDS_MAX);
        let records = asked(Arc::clone(&self.readers), read).await?;
        if records.is_empty() {
            let reason = format!("nothing is at offset {from}, where there was a record");
            return Err(Error::Cut { topic, partition, reason });
        }
        Ok(records)
    }
}

impl Follower for KafkaFollower {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        async {
            let batch = self.step().await?;
            if let Some(last) = batch.last() {
                self.next = last.offset + 1;
            }
            Ok(batch)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
