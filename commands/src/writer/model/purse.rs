//! A subject as small as can be whose decisions are impure on purpose: a fee by chance stands for the clock, the market
//! and the release, so that deciding twice differs.

use super::weak::Weak;
use crate::{
    known::Key,
    outcome::{Outcome, OutcomeResult},
    queue::Prepared,
    subject::{Broken, Encode, How, Place, Replayed, Seen, Subject, Written},
};
use domain::{rejection::Rejection, time::Timestamp};
use event_log::{Headers, Record, RecordKind, Stored, Topic, snapshot::Due};
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The highest fee.
const FEE_MAX: i64 = 3;

/// Puts so much into a purse, or takes it out if it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ask {
    pub purse: u8,
    pub id: u16,
    pub change: i64,
}

impl Ask {
    pub(super) fn key(self) -> Key {
        let [high, low] = self.id.to_be_bytes();
        let mut key = [high; 16];
        (key[0], key[1], key[15]) = (low, self.purse, low);
        Key(key)
    }

    pub(super) fn content(self) -> [u8; 16] {
        i128::from(self.change).to_be_bytes()
    }

    pub(super) fn prepared(self) -> Prepared<Ask> {
        Prepared { item: self, body: RawValue::NULL.to_owned(), key: self.key(), content: self.content() }
    }
}

/// How an ask was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    Changed {
        fee: i64,
    },
    /// It is not there.
    Refused {
        fee: i64,
    },
    /// As the entry with this number.
    Repeats(u64),
    /// Its key was used for something else.
    Reused,
}

/// A live answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub ask: Ask,
    pub said: Said,
    pub seq: u64,
    /// After it.
    pub holds: i64,
    pub at_micros: i64,
}

impl Entry {
    pub(super) fn read(value: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(value).map_err(|error| error.to_string())
    }

    /// Whether it is the first under its key.
    pub(super) fn is_first(&self) -> bool {
        matches!(self.said, Said::Changed { .. } | Said::Refused { .. })
    }

    pub(super) fn outcome(&self) -> Outcome {
        let result = match self.said {
            Said::Refused { .. } => {
                OutcomeResult::Refused { code: Rejection::InsufficientCash, figures: BTreeMap::new() }
            }
            Said::Reused => OutcomeResult::Refused { code: Rejection::IdempotencyKeyReused, figures: BTreeMap::new() },
            Said::Changed { .. } | Said::Repeats(_) => {
                OutcomeResult::Accepted { order_id: None, fund_order_id: None, status: None, events: Vec::new() }
            }
        };
        Outcome {
            account_or_key: purse_key(self.ask.purse),
            seq: self.seq,
            kind: format!("{:?} holds {}", self.said, self.holds).into(),
            command_id: self.ask.id.to_string().into(),
            recorded_at: Timestamp::from_micros(self.at_micros),
            result,
        }
    }
}

pub(super) fn purse_key(purse: u8) -> Box<str> {
    format!("P{purse}").into()
}

/// One purse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purse {
    pub holds: i64,
    pub seq: u64,
}

impl Purse {
    /// Folds an entry that must follow.
    pub(super) fn fold(&mut self, entry: &Entry) -> Result<(), String> {
        let change = match entry.said {
            Said::Changed { fee } => entry.ask.change - fee,
            Said::Refused { .. } | Said::Repeats(_) | Said::Reused => 0,
        };
        let next = Purse { holds: self.holds + change, seq: self.seq + 1 };
        if (entry.holds, entry.seq) != (next.holds, next.seq) || next.holds < 0 {
            return Err(format!("{entry:?} does not follow {self:?}"));
        }
        *self = next;
        Ok(())
    }
}

/// All purses.
pub(super) struct Purses {
    held: BTreeMap<Box<str>, Purse>,
    /// Changed since the last hand-over.
    dirty: BTreeSet<Box<str>>,
    /// Handed over and not known to be saved.
    handed: BTreeSet<Box<str>>,
    /// Whether a snapshot has purses that are not held.
    has_cold: bool,
    fees: StdRng,
    /// As they are ahead of the log, to be seen by a store that must not.
    ahead: Arc<Mutex<BTreeMap<Box<str>, Purse>>>,
    weak: Option<Weak>,
}

impl Purses {
    pub(super) fn new(fees: StdRng, weak: Option<Weak>) -> Self {
        let (held, dirty, handed) = Default::default();
        Self { held, dirty, handed, has_cold: false, fees, ahead: Arc::default(), weak }
    }

    pub(super) fn ahead(&self) -> Arc<Mutex<BTreeMap<Box<str>, Purse>>> {
        Arc::clone(&self.ahead)
    }

    fn take_in(&mut self, entry: &Entry) -> Result<(), String> {
        let key = purse_key(entry.ask.purse);
        // As a shelf of books does: whoever fetches cold purses has found that there is none.
        let purse = self.held.entry(key.clone()).or_default();
        purse.fold(entry)?;
        self.ahead.lock().insert(key.clone(), *purse);
        self.dirty.insert(key);
        Ok(())
    }
}

impl Subject for Purses {
    const TOPIC: Topic = Topic::Ledger;
    const KIND: RecordKind = RecordKind::Entry;
    type Item = Ask;

    fn request(command: &Prepared<Ask>) -> Record {
        let ask = command.item;
        let headers = Headers::request(RecordKind::Command, ask.id.to_string().into(), 0, None);
        Record { key: Some(purse_key(ask.purse)), headers, value: serde_json::to_vec(&ask).unwrap().into() }
    }

    fn read_request(stored: &Stored) -> Result<Prepared<Ask>, String> {
        let ask: Ask = serde_json::from_slice(&stored.record.value).map_err(|error| error.to_string())?;
        Ok(ask.prepared())
    }

    fn seen(value: &[u8]) -> Result<Seen, String> {
        let entry = Entry::read(value)?;
        let replayed = Replayed { key: entry.ask.key(), content: entry.ask.content(), first: entry.is_first() };
        Ok(Seen { replayed, repeat: matches!(entry.said, Said::Repeats(_)), outcome: entry.outcome() })
    }

    fn reset(&mut self) {
        self.held.clear();
        self.dirty.clear();
        self.handed.clear();
        self.ahead.lock().clear();
        self.has_cold = false;
    }

    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String> {
        let entry = Entry::read(&stored.record.value)?;
        self.take_in(&entry)?;
        let is_forgotten = self.weak == Some(Weak::RefusalsForgotten) && matches!(entry.said, Said::Refused { .. });
        let first = entry.is_first() && !is_forgotten;
        Ok(Replayed { key: entry.ask.key(), content: entry.ask.content(), first })
    }

    fn snapshots() -> Option<(&'static str, String)> {
        Some(("books", "purses".to_owned()))
    }

    fn restore(&mut self, _blob: &[u8], _due: Vec<Due>) -> Result<(), String> {
        self.reset();
        self.has_cold = true;
        Ok(())
    }

    fn cold(&self, key: &str) -> Option<Box<str>> {
        (self.has_cold && !self.held.contains_key(key)).then(|| key.into())
    }

    fn key(item: &Ask) -> Box<str> {
        purse_key(item.purse)
    }

    fn warm(&mut self, key: &str, item: Option<&[u8]>) -> Result<(), String> {
        let purse = item.map(serde_json::from_slice).transpose().map_err(|error| error.to_string())?;
        self.held.entry(key.into()).or_insert(purse.unwrap_or_default());
        Ok(())
    }

    /// Lets go of all that it may.
    fn cool(&mut self) {
        if self.has_cold {
            self.held.retain(|key, _| self.dirty.contains(key) || self.handed.contains(key));
        }
    }

    fn hand_over(&mut self) -> Encode {
        self.handed = std::mem::take(&mut self.dirty);
        let items = self.handed.iter().map(|key| (key.clone(), self.held[key])).collect::<Vec<_>>();
        Box::new(move || {
            let item = |(key, purse)| event_log::snapshot::Item { key, due: None, blob: blob(&purse) };
            Ok((items.into_iter().map(item).collect(), bytes::Bytes::new()))
        })
    }

    fn saved(&mut self, saved: bool) {
        let handed = std::mem::take(&mut self.handed);
        if saved {
            self.has_cold = true;
        } else {
            self.dirty.extend(handed);
        }
    }

    fn replayed(&mut self) {}

    fn answer(&mut self, command: &Prepared<Ask>, how: How, place: Place) -> Result<Written, Broken> {
        let ask = command.item;
        let key = purse_key(ask.purse);
        let purse = self.held.get(&key).copied().unwrap_or_default();
        let fee = self.fees.random_range(0..=FEE_MAX);
        let said = match how {
            How::Decide if purse.holds + ask.change - fee < 0 => Said::Refused { fee },
            How::Decide => Said::Changed { fee },
            How::Repeat(seq) => Said::Repeats(seq),
            How::Refuse(_) => Said::Reused,
        };
        let change = if matches!(said, Said::Changed { .. }) { ask.change - fee } else { 0 };
        let (seq, holds) = (purse.seq + 1, purse.holds + change);
        let entry = Entry { ask, said, seq, holds, at_micros: place.recorded_at.micros() };
        self.take_in(&entry).map_err(|_| Broken)?;
        let value = serde_json::to_vec(&entry).unwrap().into();
        let (ce_id, kinds) = (format!("{key}/{seq}").into(), "asked".into());
        Ok(Written { key, ce_id, kinds, value, seq, outcome: entry.outcome() })
    }
}

/// A purse as a snapshot has it.
pub(super) fn blob(purse: &Purse) -> bytes::Bytes {
    serde_json::to_vec(purse).unwrap().into()
}
