//! Checking a log while it is replayed: sequences dense, every entry readable and at one with its headers.

use crate::{
    Error,
    replay::{Progress, Replay, Replayed, run},
};
use event_log::{EventLog, Stored, Topic};
use event_schemas::{
    check_entry, check_market_entry,
    entry::{decode_entry, decode_market_entry, kinds, market_kinds},
};
use std::{collections::HashMap, fmt, sync::Arc};

/// The first thing found that should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which topic.
    pub topic: Topic,
    /// In which partition.
    pub partition: u32,
    /// At which record.
    pub offset: u64,
    /// In words.
    pub what: Box<str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} offset {}: {}", self.topic, self.partition, self.offset, self.what)
    }
}

impl Difference {
    fn place(&self) -> (Topic, u32, u64) {
        (self.topic, self.partition, self.offset)
    }
    pub(crate) fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        [one, other].into_iter().flatten().min_by_key(Self::place)
    }
}

/// What a check gave.
pub struct Verified {
    /// The views, to compare with live ones at the same position.
    pub replayed: Replayed,
    /// The first difference; absent when all is well.
    pub difference: Option<Difference>,
}

/// Replays a log and checks every live record of it.
///
/// # Errors
/// What the log says, and `Corrupt` where it contradicts itself.
pub async fn verify(log: Arc<dyn EventLog>, replay: Replay, progress: impl FnMut(Progress)) -> Result<Verified, Error> {
    let mut replayed = run(log, replay, progress, true).await?;
    let stopped = replayed.views.stops().into_iter().map(|stop| Difference {
        topic: stop.view.topic(),
        partition: stop.partition,
        offset: stop.offset,
        what: format!("the view '{}' stopped: {}", stop.view.name(), stop.reason).into(),
    });
    let first = stopped.min_by_key(Difference::place);
    let difference = Difference::earlier(replayed.difference.take(), first);
    Ok(Verified { replayed, difference })
}

/// Checks the records of some keys, in log order.
#[derive(Default)]
pub(crate) struct Check {
    seqs: HashMap<(Topic, Box<str>), u64>,
    times: HashMap<(Topic, u32), i64>,
    first: Option<Difference>,
}

impl Check {
    pub(crate) fn record(&mut self, topic: Topic, partition: u32, stored: &Stored) {
        if let Err(what) = self.check(topic, partition, stored) {
            let difference = Difference { topic, partition, offset: stored.offset, what: what.into() };
            self.first = Difference::earlier(self.first.take(), Some(difference));
        }
    }

    pub(crate) fn into_first(self) -> Option<Difference> {
        self.first
    }

    fn check(&mut self, topic: Topic, partition: u32, stored: &Stored) -> Result<(), String> {
        let (headers, bytes) = (&stored.record.headers, &stored.record.value);
        let own = match topic {
            Topic::Ledger => {
                let entry = decode_entry(bytes).map_err(|error| error.to_string())?;
                check_entry(&entry, &headers.ce_id).map_err(|error| error.to_string())?;
                let kinds = kinds(&entry.events);
                Own {
                    key: entry.account.as_str().into(),
                    seq: entry.seq,
                    source: entry.source,
                    at: entry.recorded_at.micros(),
                    kinds,
                }
            }
            Topic::Market => {
                let entry = decode_market_entry(bytes).map_err(|error| error.to_string())?;
                check_market_entry(&entry, &headers.ce_id).map_err(|error| error.to_string())?;
                let kinds = market_kinds(&entry.events);
                Own {
                    key: entry.key.as_ref().into(),
                    seq: entry.seq,
                    source: entry.source,
                    at: entry.recorded_at.micros(),
                    kinds,
                }
            }
        };
        if stored.record.key.as_deref() != Some(&*own.key) {
            return Err(format!("the record's key is {:?}, the entry's '{}'", stored.record.key, own.key));
        }
        if (headers.source, headers.ce_time, &*headers.kinds) != (own.source, own.at, own.kinds.as_str()) {
            return Err("the headers do not tell what the entry says: source, time or kinds".to_owned());
        }
        let last = self.times.entry((topic, partition)).or_insert(i64::MIN);
        if own.at < *last {
            return Err("recorded before an earlier record of its partition".to_owned());
        }
        *last = own.at;
        let seq = self.seqs.entry((topic, own.key)).or_default();
        let expected = *seq + 1;
        *seq = own.seq;
        if own.seq != expected {
            return Err(format!("seq {} where {expected} was expected", own.seq));
        }
        Ok(())
    }
}

/// What an entry says that its record's headers must say too.
struct Own {
    key: Box<str>,
    seq: u64,
    source: i64,
    at: i64,
    kinds: String,
}
