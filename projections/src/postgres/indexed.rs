//! A log whose index by account is the journal's, for a log that has none: a broker must look at every record instead.
//!
//! What is not folded yet is looked for in the log, so nothing is missed however far behind the views are. Beside that
//! it is the log itself, and knows no entry.

use super::{Failure, Postgres};
use crate::Error;
use event_log::{BoxFuture, Error as LogError, EventLog, Follow, Record, Stored, Topic};
use futures::FutureExt;
use sqlx::Row;
use std::sync::Arc;
use uuid::Uuid;

/// The most offsets that one answer of the journal holds.
const OFFSETS_MAX: usize = 16_384;

/// How far the journal of a partition goes, and the places in it of an account's entries: one answer, one moment.
const PLACES: &str = "
    select entry_offset, false as is_end from (
        select entry_offset from journal where account = $1 and entry_offset >= $2 order by entry_offset limit $3
    ) as places
    union all
    select least(next_offset, (
        select entry_offset from view_stops where view = 'journal' and partition = $5
    )), true from checkpoints where topic = $4 and partition = $5
    order by is_end, entry_offset";

/// The log, with the journal as its index of accounts.
pub struct Indexed {
    log: Arc<dyn EventLog>,
    views: Postgres,
}

impl Indexed {
    /// Of this log, whose views these are.
    pub fn new(log: Arc<dyn EventLog>, views: Postgres) -> Self {
        Self { log, views }
    }

    /// What the journal knows of an account from an offset on, and before which offset that is all there is.
    async fn places(&self, partition: u32, account: &str, from: u64, max: usize) -> Result<(Vec<u64>, u64), Error> {
        let read = async {
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let ask = sqlx::query(PLACES).bind(account).bind(number(from)).bind(number(max as u64));
            let ask = ask.bind(Topic::Ledger.name()).bind(partition.cast_signed());
            let (mut places, mut end) = (Vec::new(), 0);
            for row in ask.fetch_all(self.views.database.pool()).await? {
                let offset = row.try_get::<i64, _>("entry_offset")?.cast_unsigned();
                if row.try_get("is_end")? {
                    end = offset;
                } else {
                    places.push(offset);
                }
            }
            Ok::<_, Failure>((places, end))
        };
        self.views.answer(read).await
    }

    async fn find(&self, topic: Topic, partition: u32, key: &str, from: u64, max: usize) -> Result<Vec<u64>, LogError> {
        if topic != Topic::Ledger {
            return self.log.offsets_of(topic, partition, key, from, max).await;
        }
        let asked = max.min(OFFSETS_MAX);
        let (mut places, end) = match self.places(partition, key, from, asked).await {
            Ok(found) => found,
            Err(Error::Log(error)) => return Err(error),
            Err(other) => return Err(LogError::Unknown { reason: other.to_string() }),
        };
        // Beyond a stop of the journal it knows some, but not all.
        places.retain(|offset| *offset < end);
        if places.len() < asked {
            let from = end.max(from);
            places.extend(self.log.offsets_of(topic, partition, key, from, max - places.len()).await?);
        }
        Ok(places)
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
        self.log.read_at(topic, partition, offsets)
    }

    /// Of the ledger, records that do not count are named only where the views have not been yet.
    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, LogError>> {
        let key = key.to_owned();
        async move { self.find(topic, partition, &key, from, max).await }.boxed()
    }

    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, LogError>> {
        self.log.tail(topic, partition)
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        self.log.follow(topic, partition, from)
    }
}
