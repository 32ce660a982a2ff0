//! The log on a Kafka cluster, for a product of many processes; knows no other store.
//!
//! The ledger rule ([`crate::rule`]) says what counts, so no broker transaction is used: `appending` writes in flights
//! that are durable on every copy that must have them, `tip` follows what is new of all partitions with one consumer,
//! `reading` fetches what is older. Settings of the client are in `settings`, those of the topics in `topics`.

mod appending;
mod flush;
mod reading;
mod settings;
mod tip;
mod topics;
mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::FutureExt;
use parking_lot::Mutex;
use rdkafka::{
    Message,
    client::{Client, ClientContext},
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers as _,
};
use uuid::Uuid;

use self::{appending::Queue, reading::Readers, settings::ANSWER_WAIT, tip::Tip, topics::IDENTITY};
use crate::{
    BoxFuture, Error, EventLog, Follow, Follower, Record, Stored, Topic, check_append,
    live::{FOLLOW_RECORDS_MAX, past},
};

pub use topics::{Layout, Step, Topics, Wanted};

/// About the most bytes kept in memory for followers, over all partitions.
const LIVE_BYTES_MAX: usize = 64 << 20;
/// How long until a cluster that has no answer yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// What topics are called before their dot, unless told otherwise.
pub const PREFIX: &str = "bahi";
/// The longest prefix: a broker's names end at 249.
const PREFIX_CHARS_MAX: usize = 100;

/// The log on a cluster. Dropping it lets what waits be appended.
pub struct Kafka {
    names: Arc<Names>,
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
        let names = Arc::new(Names::new(brokers, prefix)?);
        let opening = Arc::clone(&names);
        let opened = waited(move || {
            let consumer = BaseConsumer::from_config(&settings::reading(&opening.brokers, "open"));
            let consumer: BaseConsumer = consumer.map_err(|error| opening.unreachable(&error))?;
            let found = opening.metadata(consumer.client())?;
            let partitions = found.get(opening.of(Topic::Ledger)).map_or(0, |(partitions, _)| *partitions);
            Ok((partitions, identity(&opening, &consumer)?))
        });
        let (partitions, commands_id) = opened.await?;
        let places = Topic::ALL.into_iter().flat_map(|topic| (0..partitions).map(move |p| (topic, p))).collect();
        let tip = Tip::start(Arc::clone(&names), places, LIVE_BYTES_MAX)?;
        let readers = Arc::new(Readers::new(Arc::clone(&names)));
        Ok(Kafka {
            names,
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
        appending::start(Arc::clone(&self.names), topic, partition, Arc::clone(&queue))?;
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
    let _place = readers.places.acquire().await;
    let asking = Arc::clone(&readers);
    waited(move || ask(&asking)).await
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

/// What the topics of a log are called, and where its brokers are.
#[derive(Debug, Clone)]
struct Names {
    brokers: String,
    /// Commands and facts, which writers answer; ledger and market, which hold the answers.
    all: [String; 4],
    /// The furthest end seen of each partition of entries.
    highest: Arc<Mutex<HashMap<(Topic, u32), u64>>>,
}

impl Names {
    fn new(brokers: &str, prefix: &str) -> Result<Names, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(allowed) {
            let reason = format!("{prefix:?} cannot begin a topic's name: letters, digits, '-', '_' and '.' can");
            return Err(Error::Topics { reason });
        }
        let all = ["commands", "ledger", "facts", "market"].map(|topic| format!("{prefix}.{topic}"));
        Ok(Names { brokers: brokers.to_owned(), all, highest: Arc::default() })
    }

    fn all(&self) -> &[String] {
        &self.all
    }

    fn commands(&self) -> &str {
        &self.all[0]
    }

    fn of(&self, topic: Topic) -> &str {
        match topic {
            Topic::Ledger => &self.all[1],
            Topic::Market => &self.all[3],
        }
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.of(*topic) == name)
    }

    /// The broker could not be asked.
    fn unreachable(&self, error: &KafkaError) -> Error {
        Error::Unreachable { reason: format!("{} ({error})", self.brokers) }
    }

    /// The end of a partition, as its leader says; waits for the answer, and for a leader where there is none for now.
    fn end<C: ClientContext>(&self, client: &Client<C>, topic: &str, partition: u32) -> Result<u64, Error> {
        self.end_within(ANSWER_WAIT, client, topic, partition)
    }

    fn end_within<C: ClientContext>(
        &self,
        patience: Duration,
        client: &Client<C>,
        topic: &str,
        partition: u32,
    ) -> Result<u64, Error> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let until = Instant::now() + patience;
        loop {
            match client.fetch_watermarks(topic, partition, ANSWER_WAIT) {
                Ok((0, end)) if end >= 0 => return Ok(end.unsigned_abs()),
                Ok((first, end)) => {
                    return Err(Error::Topics {
                        reason: format!("{topic}/{partition} has {first} to {end} left of it"),
                    });
                }
                // A topic that was just made, or a broker that was: others do not know of it yet. The client keeps what
                // it was told, so that it has to be told again.
                Err(error) if is_passing(&error) && Instant::now() < until => {
                    thread::sleep(ASK_AGAIN);
                    if let Err(error) = client.fetch_metadata(Some(topic), ANSWER_WAIT) {
                        tracing::debug!(%error, topic, "the cluster does not tell of the topic");
                    }
                }
                Err(error) if reading::is_cut(&error) => {
                    return Err(Error::Topics { reason: format!("{topic}/{partition} is not there ({error})") });
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// The end of a partition of entries. One that went back has lost records: brokers answer for it only once its end
    /// is known again (KIP-207, Kafka 2.2).
    fn end_of<C: ClientContext>(&self, client: &Client<C>, topic: Topic, partition: u32) -> Result<u64, Error> {
        let end = self.end(client, self.of(topic), partition).map_err(|error| match error {
            Error::Topics { reason } => Error::Cut { topic, partition, reason },
            error => error,
        })?;
        let mut highest = self.highest.lock();
        let highest = highest.entry((topic, partition)).or_default();
        if end < *highest {
            let reason = format!("it ended at {highest} and ends at {end}");
            return Err(Error::Cut { topic, partition, reason });
        }
        *highest = end;
        Ok(end)
    }

    /// Partitions and copies of those of our topics that there are; waits for the answer.
    fn metadata<C: ClientContext>(&self, client: &Client<C>) -> Result<BTreeMap<String, (u32, u16)>, Error> {
        let metadata = client.fetch_metadata(None, ANSWER_WAIT).map_err(|error| self.unreachable(&error))?;
        let ours = metadata.topics().iter().filter(|topic| self.all.iter().any(|name| name == topic.name()));
        let counted = ours.filter(|topic| topic.error().is_none()).map(|topic| {
            let partitions = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
            let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
            (topic.name().to_owned(), (partitions, u16::try_from(copies).unwrap_or(u16::MAX)))
        });
        Ok(counted.collect())
    }
}

/// Whether the cluster is only about to know the answer: brokers tell one another what is new, and nobody is told when.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::UnknownPartition
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::KafkaStorageError
                | Code::ReplicaNotAvailable
        )
    )
}

/// The log's identity: the first record of its commands.
fn identity(names: &Names, consumer: &BaseConsumer) -> Result<Uuid, Error> {
    let missing = |what: &str| Error::Topics {
        reason: format!("{} {what}: it was not made by `bahi topics apply`, or was made anew", names.commands()),
    };
    if names.end(consumer.client(), names.commands(), 0)? == 0 {
        return Err(missing("has no identity"));
    }
    let first = reading::assignment(names.commands(), 0, 0);
    first.and_then(|first| consumer.assign(&first)).map_err(|error| names.unreachable(&error))?;
    let until = Instant::now() + ANSWER_WAIT;
    let message = loop {
        match consumer.poll(until.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => break message,
            Some(Err(error)) if reading::is_cut(&error) => return Err(missing("has lost its first record")),
            // One of the brokers may be away; the others have the record.
            Some(Err(error)) if Instant::now() < until => tracing::debug!(%error, "opening goes on"),
            Some(Err(_)) | None => {
                let reason = format!("{} gave no record of {} in time", names.brokers, names.commands());
                return Err(Error::Unreachable { reason });
            }
        }
    };
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let identity = headers.filter(|header| header.key == IDENTITY).find_map(|header| header.value);
    let identity = identity.and_then(|text| Uuid::try_parse_ascii(text).ok());
    identity.ok_or_else(|| missing("begins with a foreign record"))
}

#[cfg(test)]
mod tests;
