//! The cluster as a log sees it: what its topics are called, where they end, and which log they are. Everything that
//! asks waits for the answer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    client::{Client, ClientContext},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use uuid::Uuid;

use super::{
    errors::{is_cut, is_passing},
    reading::assignment,
    settings::ANSWER_WAIT,
    wire,
};
use crate::{Error, Headers, Record, RecordKind, Topic};

/// How long until a cluster that has no answer yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The longest prefix: a broker's names end at 249.
const PREFIX_CHARS_MAX: usize = 100;

/// Which topics are meant by [`Topic`]: the answers, or what they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The ledger, the market.
    Answers,
    /// Commands, which the ledger answers; facts, which the market does.
    Requests,
}

/// The brokers of a log, and what its topics are called there.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) brokers: String,
    /// Commands and facts, which writers answer; ledger and market, which hold the answers.
    all: [String; 4],
    side: Side,
    /// The furthest end seen of each partition of entries.
    highest: Arc<Mutex<HashMap<(Topic, u32), u64>>>,
}

impl Cluster {
    pub(super) fn new(brokers: &str, prefix: &str) -> Result<Cluster, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(allowed) {
            let reason = format!("{prefix:?} cannot begin a topic's name: letters, digits, '-', '_' and '.' can");
            return Err(Error::Topics { reason });
        }
        let all = ["commands", "ledger", "facts", "market"].map(|topic| format!("{prefix}.{topic}"));
        Ok(Cluster { brokers: brokers.to_owned(), all, side: Side::Answers, highest: Arc::default() })
    }

    /// The same, of what the answers answer.
    pub(super) fn requests(&self) -> Cluster {
        Cluster { side: Side::Requests, highest: Arc::default(), ..self.clone() }
    }

    /// What all names begin with, before their dot.
    pub(super) fn prefix(&self) -> &str {
        self.commands().strip_suffix(".commands").unwrap_or_default()
    }

    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    pub(super) fn commands(&self) -> &str {
        &self.all[0]
    }

    pub(super) fn of(&self, topic: Topic) -> &str {
        match (self.side, topic) {
            (Side::Requests, Topic::Ledger) => &self.all[0],
            (Side::Answers, Topic::Ledger) => &self.all[1],
            (Side::Requests, Topic::Market) => &self.all[2],
            (Side::Answers, Topic::Market) => &self.all[3],
        }
    }

    pub(super) fn topic(&self, name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.of(*topic) == name)
    }

    /// The broker could not be asked.
    pub(super) fn unreachable(&self, error: &KafkaError) -> Error {
        Error::Unreachable { reason: format!("{} ({error})", self.brokers) }
    }

    /// The end of a partition, as its leader says; waits for the answer, and for a leader where there is none for now.
    pub(super) fn end<C: ClientContext>(&self, client: &Client<C>, topic: &str, partition: u32) -> Result<u64, Error> {
        self.end_within(ANSWER_WAIT, client, topic, partition)
    }

    pub(super) fn end_within<C: ClientContext>(
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
                Err(error) if is_cut(&error) => {
                    return Err(Error::Topics { reason: format!("{topic}/{partition} is not there ({error})") });
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// The end of a partition of entries. One that went back behind what was seen before it was asked for has lost
    /// records: brokers answer for it only once its end is known again (KIP-207, Kafka 2.2).
    pub(super) fn end_of<C: ClientContext>(
        &self,
        client: &Client<C>,
        topic: Topic,
        partition: u32,
    ) -> Result<u64, Error> {
        // Of two that ask at once the later answer may be taken in first.
        let before = self.highest.lock().get(&(topic, partition)).copied().unwrap_or_default();
        let end = self.end(client, self.of(topic), partition).map_err(|error| match error {
            Error::Topics { reason } => Error::Cut { topic, partition, reason },
            error => error,
        })?;
        if end < before {
            return Err(Error::Cut { topic, partition, reason: format!("it ended at {before} and ends at {end}") });
        }
        let mut highest = self.highest.lock();
        let highest = highest.entry((topic, partition)).or_default();
        *highest = end.max(*highest);
        Ok(end)
    }

    /// Partitions and copies of those of our topics that there are; waits for the answer.
    pub(super) fn metadata<C: ClientContext>(&self, client: &Client<C>) -> Result<BTreeMap<String, (u32, u16)>, Error> {
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

/// The log's identity: the first record of its commands.
pub(super) fn identity(cluster: &Cluster, consumer: &BaseConsumer) -> Result<Uuid, Error> {
    let missing = |what: &str| Error::Topics {
        reason: format!("{} {what}: it was not made by `bahi topics apply`, or was made anew", cluster.commands()),
    };
    if cluster.end(consumer.client(), cluster.commands(), 0)? == 0 {
        return Err(missing("has no identity"));
    }
    let first = assignment(cluster.commands(), 0, 0);
    first.and_then(|first| consumer.assign(&first)).map_err(|error| cluster.unreachable(&error))?;
    let until = Instant::now() + ANSWER_WAIT;
    let message = loop {
        match consumer.poll(until.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => break message,
            Some(Err(error)) if is_cut(&error) => return Err(missing("has lost its first record")),
            // One of the brokers may be away; the others have the record.
            Some(Err(error)) if Instant::now() < until => tracing::debug!(%error, "opening goes on"),
            Some(Err(_)) | None => {
                let reason = format!("{} gave no record of {} in time", cluster.brokers, cluster.commands());
                return Err(Error::Unreachable { reason });
            }
        }
    };
    let first = wire::incoming(Topic::Ledger, 0, &message).ok().filter(|first| is_identity(&first.record));
    let identity = first.and_then(|first| Uuid::try_parse(&first.record.headers.ce_id).ok());
    identity.ok_or_else(|| missing("begins with a foreign record"))
}

/// The record that gives a log this identity: a command of nobody, which is not answered.
pub(super) fn identity_record(identity: Uuid, ce_time: i64) -> Record {
    let headers = Headers::request(RecordKind::Command, identity.to_string().into(), ce_time, None);
    Record { key: None, headers, value: Bytes::from_static(b"{}") }
}

fn is_identity(record: &Record) -> bool {
    record.key.is_none() && record.headers.ce_type.is_request()
}
