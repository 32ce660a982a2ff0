//! What several tests of the views need.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use domain::ids::AccountId;
use event_log::{BoxFuture, Error as LogError, EventLog, Follow, Record, RecordKind, Stored, Topic, memory::Memory};
use event_schemas::entry::{Entry, decode_entry};
use projections::{
    Reading, Views, all_older,
    testing::{Ledger, contract},
};
use proptest::prelude::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How long a test waits for a fact before it fails.
pub const WAIT: Duration = Duration::from_secs(20);

/// Every entry of a ledger, partition by partition.
pub async fn entries(ledger: &Ledger) -> Vec<Entry<'static>> {
    let log = ledger.log().await;
    let mut entries = Vec::new();
    for partition in 0..log.partitions(Topic::Ledger) {
        let mut from = 0;
        loop {
            let batch = log.read(Topic::Ledger, partition, from, 1000).await.unwrap();
            let Some(last) = batch.last() else { break };
            from = last.offset + 1;
            let of_accounts = batch.iter().filter(|stored| stored.record.headers.ce_type == RecordKind::Entry);
            entries.extend(of_accounts.map(|stored| decode_entry(&stored.record.value).unwrap().into_owned()));
        }
    }
    entries
}

/// Every answer about an account, as one text; without rows that have left, where the reading has none.
pub fn everything(reading: &Reading<'_>) -> String {
    contract::everything(reading).to_string()
}

/// Every answer about an account as it stands, with rows that have left, as one text.
pub async fn everything_now(log: &dyn EventLog, views: &Views, account: &AccountId) -> String {
    let older = all_older(log, views, account).await.unwrap();
    views.read(account, |reading| everything(&reading.with(&older))).unwrap()
}

/// A random history of two accounts.
pub fn histories(steps_max: usize) -> impl Strategy<Value = Ledger> {
    (1u32..3, prop::collection::vec(any::<u64>(), 8..steps_max * 6)).prop_map(|(partitions, draws)| {
        let mut ledger = Ledger::new(partitions);
        let mut draws = draws.into_iter();
        while draws.len() > 0 {
            let who = projections::testing::account(draws.next().map_or(0, |draw| draw % 2) as usize);
            // A history ends as if nothing more was drawn: with zeros.
            ledger.wander(&who, &mut |below| draws.next().unwrap_or_default() % below.max(1));
        }
        ledger
    })
}

/// A log that tells what was asked of it.
pub struct Counting {
    log: Memory,
    /// Records asked for one by one.
    pub records: AtomicUsize,
    /// From where the ledger was followed last.
    pub followed_from: AtomicU64,
}

impl Counting {
    pub fn new(log: Memory) -> Self {
        Self { log, records: AtomicUsize::new(0), followed_from: AtomicU64::new(0) }
    }
}

impl EventLog for Counting {
    fn partitions(&self, topic: Topic) -> u32 {
        self.log.partitions(topic)
    }
    fn commands_id(&self) -> uuid::Uuid {
        self.log.commands_id()
    }
    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, LogError>> {
        self.log.append(topic, partition, at, records)
    }
    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, LogError>> {
        self.log.read(topic, partition, from, max)
    }
    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, LogError>> {
        self.records.fetch_add(offsets.len(), Ordering::Relaxed);
        self.log.read_at(topic, partition, offsets)
    }
    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, LogError>> {
        self.log.offsets_of(topic, partition, key, from, max)
    }
    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, LogError>> {
        self.log.tail(topic, partition)
    }
    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        if topic == Topic::Ledger {
            self.followed_from.store(from, Ordering::Relaxed);
        }
        self.log.follow(topic, partition, from)
    }
}
