//! Market facts as a writer's subject: one partition's market, decided and folded by `domain::market`. All of it is in
//! memory; a snapshot adds the parts of it that changed.

use crate::{
    config::Config,
    followed::{fold_entry, guarded},
    known::Key,
    ledger::{content_of, is_first, stored_by, undecodable},
    outcome::Outcome,
    queue::Prepared,
    request, saved_market,
    subject::{Broken, Encode, How, Place, Replayed, Seen, Subject, Written, bounded_kinds},
    submission::{Asked, AskedFact, FactSubmission},
};
use bytes::Bytes;
use domain::{
    book,
    calendar::CalendarMode,
    market::{
        self, Fact, Market, MarketEvent, MarketEventData,
        parts::{self, Month, Name, Part},
    },
    policy::Policy,
    rejection::{CommandRefused, Refusal},
    time::Timestamp,
};
use event_log::{Record, RecordKind, Stored, Topic, VALUE_BYTES_MAX, snapshot::Due};
use event_schemas::{
    self as schemas, CommandEnvelope, EntryContext, MarketEntry, decode_market_entry, encode_market_entry, fact_body,
    key_hash,
};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// First size of an entry's buffer: a day's prices fit.
const ENTRY_BYTES: usize = 768;
/// What scopes the ids of facts, in place of an account.
pub(crate) const SCOPE: &str = "market";

/// Keys with the months that facts were about; bounded by what exists.
type Changes = HashMap<Box<str>, BTreeSet<Month>>;

/// The facts of one partition of the market.
pub(crate) struct Facts {
    /// Absent only while it is folded.
    market: Option<Market>,
    /// What changed since the last hand-over.
    changed: Changes,
    /// What was handed over, and is not known to be saved.
    saving: Changes,
    /// Entries before this may be in the market that was restored, though its snapshot ends before them.
    restored_to: u64,
    partition: usize,
    partitions: usize,
    calendar: CalendarMode,
    policy: Arc<Policy>,
}

impl Facts {
    pub(crate) fn new(partition: u32, partitions: u32, config: &Config) -> Self {
        Self {
            market: Some(Market::default()),
            changed: Changes::new(),
            saving: Changes::new(),
            restored_to: 0,
            partition: partition as usize,
            partitions: partitions as usize,
            calendar: config.calendar,
            policy: Arc::clone(&config.policy),
        }
    }
}

/// Something was folded about a key.
fn note(changed: &mut Changes, key: &str, events: &[MarketEvent]) {
    let months = match changed.get_mut(key) {
        Some(months) => months,
        None => changed.entry(key.into()).or_default(),
    };
    months.extend(events.iter().filter_map(Month::of_event));
}

impl Subject for Facts {
    const TOPIC: Topic = Topic::Market;
    const KIND: RecordKind = RecordKind::Market;
    type Item = AskedFact;

    fn request(command: &Prepared<AskedFact>) -> Record {
        request::of_fact(command)
    }

    fn read_request(stored: &Stored) -> Result<Prepared<AskedFact>, String> {
        request::fact(stored)
    }

    fn traceparent(submission: &AskedFact) -> Option<&str> {
        submission.traceparent.as_deref()
    }

    fn seen(value: &[u8]) -> Result<Seen, String> {
        let entry = decode_market_entry(value).map_err(|error| error.to_string())?;
        let repeat = entry.outcome == schemas::Outcome::Repeat;
        Ok(Seen { replayed: replayed(&entry), repeat, outcome: Outcome::of_market_entry(&entry) })
    }

    const IS_WHOLE: bool = true;

    fn snapshots() -> Option<(&'static str, String)> {
        Some(("facts", format!("{}/{}", env!("CARGO_PKG_VERSION"), parts::SHAPE)))
    }

    fn reset(&mut self) {
        self.market = Some(Market::default());
        self.changed.clear();
        self.saving.clear();
        self.restored_to = 0;
    }

    fn restore(&mut self, _blob: &[u8], _due: Vec<Due>) -> Result<(), String> {
        self.reset();
        Ok(())
    }

    fn warm(&mut self, key: &str, item: Option<&[u8]>) -> Result<(), String> {
        let market = self.market.as_mut().ok_or("nothing can be taken in while something is folded")?;
        item.map_or(Ok(()), |blob| saved_market::take_in(market, key, blob))
    }

    fn whole(&mut self, end: u64) {
        self.restored_to = end;
    }

    fn hand_over(&mut self) -> Encode {
        let Some(market) = &self.market else {
            return Box::new(|| Err("a fact could not be folded".to_owned()));
        };
        let names = self.changed.iter().flat_map(|(key, months)| {
            let months = std::iter::once(None).chain(months.iter().copied().map(Some));
            months.map(|month| Name { key: key.clone(), month })
        });
        let changed: Vec<Part> = names.map(|name| market.part(name)).collect();
        self.saving = std::mem::take(&mut self.changed);
        Box::new(move || Ok((changed.iter().map(saved_market::item).collect::<Result<_, _>>()?, Bytes::new())))
    }

    fn saved(&mut self, saved: bool) {
        let saving = std::mem::take(&mut self.saving);
        if !saved {
            for (key, months) in saving {
                self.changed.entry(key).or_default().extend(months);
            }
        }
    }

    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String> {
        let entry = decode_market_entry(&stored.record.value).map_err(|e| e.to_string())?;
        let market = self.market.take().ok_or("an earlier entry could not be folded")?;
        let next = next_seq(&market, &entry.key);
        if entry.seq < next && stored.offset < self.restored_to {
            self.market = Some(market);
            return Ok(replayed(&entry));
        }
        if entry.seq != next {
            return Err(format!("its seq is {}, but {next} is next about {}", entry.seq, entry.key));
        }
        self.market = Some(guarded(|| fold_entry(market, &entry.key, &entry.events))?);
        note(&mut self.changed, &entry.key, &entry.events);
        Ok(replayed(&entry))
    }

    fn replayed(&mut self) {}

    fn answer(&mut self, command: &Prepared<AskedFact>, how: How, place: Place) -> Result<Written, Broken> {
        let submission = &command.item;
        let now = place.recorded_at;
        let market = self.market.as_ref().ok_or(Broken)?;
        let key = submission.fact.key();
        // A fact is decided on its own partition alone, so nothing of the others counts.
        let mut at = vec![0; self.partitions];
        at[self.partition] = place.offset;
        let (outcome, first, events) = match how {
            How::Repeat(first) => (schemas::Outcome::Repeat, Some(first), Vec::new()),
            How::Refuse(refusal) => (schemas::Outcome::Refused, None, vec![refuse(refusal, now)]),
            How::Decide => {
                let event = match &submission.fact {
                    Asked::Known(fact) => decide(market, fact, command, now),
                    Asked::Unread(_) => refuse(undecodable(command), now),
                };
                let refused = matches!(event.data, MarketEventData::CommandRefused(_));
                let outcome = if refused { schemas::Outcome::Refused } else { schemas::Outcome::Accepted };
                (outcome, None, vec![event])
            }
        };
        let mut entry = MarketEntry {
            key: Cow::Borrowed(&key),
            seq: next_seq(market, &key),
            source: place.source,
            recorded_at: now,
            command: envelope(submission, &command.body),
            context: EntryContext {
                market: at,
                calendar: self.calendar,
                policy: Cow::Borrowed(self.policy.version()),
                rules: book::RULES,
            },
            outcome,
            first,
            events,
        };
        let mut value = Vec::with_capacity(ENTRY_BYTES);
        encode_market_entry(&entry, &mut value);
        if value.len() > VALUE_BYTES_MAX {
            entry.command.body = Cow::Owned(RawValue::NULL.to_owned());
            if is_first(entry.outcome, refusal(&entry.events)) {
                entry.outcome = schemas::Outcome::Refused;
                entry.events = vec![refuse(undecodable(command).with("bytes", value.len()), now)];
            }
            value.clear();
            encode_market_entry(&entry, &mut value);
        }
        let folding = self.market.take().ok_or(Broken)?;
        let folded = guarded(|| fold_entry(folding, &key, &entry.events)).map_err(|reason| {
            tracing::error!(%key, command = %submission.id, reason, "folding a fact failed; it will be refused");
            Broken
        })?;
        self.market = Some(folded);
        note(&mut self.changed, &key, &entry.events);
        Ok(Written {
            ce_id: entry.ce_id().into(),
            kinds: bounded_kinds(schemas::market_kinds(&entry.events)),
            value: value.into(),
            seq: entry.seq,
            outcome: Outcome::of_market_entry(&entry),
            key: key.clone(),
        })
    }
}

fn next_seq(market: &Market, key: &str) -> u64 {
    market.seqs.get(key).map_or(1, |seq| seq + 1)
}

fn refuse(refusal: Refusal, now: Timestamp) -> MarketEvent {
    MarketEvent { effective_at: now, data: MarketEventData::CommandRefused(refusal.into()) }
}

/// The refusal, of events that are one.
fn refusal(events: &[MarketEvent]) -> Option<&CommandRefused> {
    match events {
        [MarketEvent { data: MarketEventData::CommandRefused(refused), .. }] => Some(refused),
        _ => None,
    }
}

/// What an entry adds to what is known by key.
fn replayed(entry: &MarketEntry<'_>) -> Replayed {
    let refused = refusal(&entry.events);
    Replayed {
        key: Key(key_hash(SCOPE, entry.command.by.role, &entry.command.id)),
        content: content_of(&entry.command, refused),
        first: is_first(entry.outcome, refused),
    }
}

/// Deciding, with a panic turned into a refusal: one bad fact never stops a partition.
fn decide(market: &Market, fact: &Fact, command: &Prepared<AskedFact>, now: Timestamp) -> MarketEvent {
    guarded(|| market::decide(market, fact, now)).unwrap_or_else(|reason| {
        tracing::error!(command = %command.item.id, reason, "deciding failed; the fact is refused");
        refuse(undecodable(command), now)
    })
}

/// A fact with its stored body and hashes.
pub(crate) fn prepare(submission: FactSubmission) -> Prepared<AskedFact> {
    let body = fact_body(&submission.fact);
    prepared(submission.map(Asked::Known), body)
}

/// The same of what came with this body: kept as it is if it does not read.
pub(crate) fn prepare_asked(asked: AskedFact, body: &RawValue) -> Prepared<AskedFact> {
    let body = match &asked.fact {
        Asked::Known(fact) => fact_body(fact),
        Asked::Unread(_) => body.to_owned(),
    };
    prepared(asked, body)
}

fn prepared(item: AskedFact, body: Box<RawValue>) -> Prepared<AskedFact> {
    let key = Key(key_hash(SCOPE, item.by.role, item.id.as_str()));
    let content = schemas::content_hash(item.fact.kind(), item.fact.version(), body.get());
    Prepared { item, body, key, content }
}

/// A fact as it is stored and sent.
pub(crate) fn envelope<'a>(submission: &'a AskedFact, body: &'a RawValue) -> CommandEnvelope<'a> {
    CommandEnvelope {
        id: Cow::Borrowed(submission.id.as_str()),
        kind: Cow::Borrowed(submission.fact.kind()),
        v: submission.fact.version(),
        body: Cow::Borrowed(body),
        issued_at: submission.issued_at,
        by: stored_by(&submission.by),
        request_id: submission.request_id.as_deref().map(Cow::Borrowed),
        min_position: None,
    }
}

#[cfg(test)]
mod tests;
