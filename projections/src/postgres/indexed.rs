//! A log without an index by key, with the journal's in the database in its place: for questions that read an account's
//! own entries. Reads and appends are the log's.

use super::Postgres;
use domain::ids::AccountId;
use event_log::{BoxFuture, Error, EventLog, Follow, Record, Stored, Topic};
use std::sync::Arc;
use uuid::Uuid;

/// The log, and where each account's entries are in it.
pub struct Indexed {
    log: Arc<dyn EventLog>,
    views: Postgres,
}

impl Indexed {
    /// This log by this journal, which knows what is folded and no more.
    pub fn new(log: Arc<dyn EventLog>, views: Postgres) -> Self {
        Self { log, views }
    }
}

impl EventLog for Indexed {
    fn partitions(&self, topic: Topic) -> u32 {
        self.log.partitions(topic)
    }

    fn commands_id(&self) -> Uuid {
        self.log.commands_id()
    }

    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        self.log.append(topic, partition, at, records)
    }

    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.log.read(topic, partition, from, max)
    }

    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.log.read_at(topic, partition, offsets)
    }

    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        match AccountId::new(key) {
            Ok(account) if topic == Topic::Ledger => Box::pin(async move {
                let offsets = self.views.journal_offsets(&account, from, max).await;
                offsets.map_err(|error| Error::Unreachable { reason: error.to_string() })
            }),
            _ => self.log.offsets_of(topic, partition, key, from, max),
        }
    }

    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        self.log.tail(topic, partition)
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        self.log.follow(topic, partition, from)
    }
}
