//! Checking a log while it is replayed: sequences dense, every entry readable and at one with its headers.

use crate::{
    Error,
    replay::{Progress, Replay, Replayed, run},
};
use event_log::{EventLog, Stored, Topic};
use event_schemas::{
    DecodeError, check_entry, check_market_entry,
    entry::{Entry, decode_market_entry, kinds, market_kinds},
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
    first: Option<Difference>,
}

impl Check {
    pub(crate) fn entry(&mut self, partition: u32, stored: &Stored, entry: Result<&Entry<'_>, &DecodeError>) {
        let own = entry.map_err(ToString::to_string).and_then(|entry| {
            check_entry(entry, &stored.record.headers.ce_id).map_err(|error| error.to_string())?;
            Ok(Own {
                key: entry.account.as_str().into(),
                seq: entry.seq,
                source: entry.source,
                at: entry.recorded_at.micros(),
                kinds: kinds(&entry.events),
            })
        });
        self.compare(Topic::Ledger, partition, stored, own);
    }

    pub(crate) fn fact(&mut self, partition: u32, stored: &Stored) {
        let own = decode_market_entry(&stored.record.value).map_err(|error| error.to_string()).and_then(|entry| {
            check_market_entry(&entry, &stored.record.headers.ce_id).map_err(|error| error.to_string())?;
            Ok(Own {
                key: entry.key.as_ref().into(),
                seq: entry.seq,
                source: entry.source,
                at: entry.recorded_at.micros(),
                kinds: market_kinds(&entry.events),
            })
        });
        self.compare(Topic::Market, partition, stored, own);
    }

    pub(crate) fn into_first(self) -> Option<Difference> {
        self.first
    }

    fn compare(&mut self, topic: Topic, partition: u32, stored: &Stored, own: Result<Own, String>) {
        if let Err(what) = own.and_then(|own| self.follows(topic, stored, own)) {
            let difference = Difference { topic, partition, offset: stored.offset, what: what.into() };
            self.first = Difference::earlier(self.first.take(), Some(difference));
        }
    }

    fn follows(&mut self, topic: Topic, stored: &Stored, own: Own) -> Result<(), String> {
        let headers = &stored.record.headers;
        if stored.record.key.as_deref() != Some(&*own.key) {
            return Err(format!("the record's key is {:?}, the entry's '{}'", stored.record.key, own.key));
        }
        if (headers.source, headers.ce_time, &*headers.kinds) != (own.source, own.at, own.kinds.as_str()) {
            return Err("the headers do not tell what the entry says: source, time or kinds".to_owned());
        }
        let seq = self.seqs.entry((topic, own.key)).or_default();
        let expected = *seq + 1;
        *seq = own.seq;
        if own.seq == expected { Ok(()) } else { Err(format!("seq {} where {expected} was expected", own.seq)) }
    }
}

/// Times of a partition's live records, which never decrease.
pub(crate) struct Times {
    pub(crate) topic: Topic,
    pub(crate) partition: u32,
    last: i64,
    pub(crate) first: Option<Difference>,
}

impl Times {
    pub(crate) fn new(topic: Topic, partition: u32) -> Self {
        Self { topic, partition, last: i64::MIN, first: None }
    }
    pub(crate) fn record(&mut self, stored: &Stored) {
        let time = stored.record.headers.ce_time;
        if time < self.last && self.first.is_none() {
            let what = "recorded before an earlier record of its partition".into();
            let (topic, partition) = (self.topic, self.partition);
            self.first = Some(Difference { topic, partition, offset: stored.offset, what });
        }
        self.last = self.last.max(time);
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
