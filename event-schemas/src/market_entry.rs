//! A market entry: the answer to one observed fact, recorded or refused; knows no account.

use crate::{
    borrowed, canonical,
    command::CommandEnvelope,
    entry::{EntryContext, Head, Outcome, version_1},
    error::DecodeError,
    event, write,
};
use domain::{market::MarketEvent, time::Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

/// `ce_type` of a market entry.
pub const MARKET_ENTRY_TYPE: &str = "bahi.market.v1";

/// A market entry.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketEntry<'a> {
    /// What it is about: an instrument, a scheme, `calendar/NSE`.
    pub key: Cow<'a, str>,
    /// Counts the key's entries from 1 without a gap.
    pub seq: u64,
    /// Offset of the fact it answers; embedded, counts the partition's facts from 0.
    pub source: i64,
    /// The time `decide` was given; never decreases within a partition.
    pub recorded_at: Timestamp,
    /// What was asked to be recorded.
    pub command: CommandEnvelope<'a>,
    /// Under what it was decided.
    pub context: EntryContext<'a>,
    /// How it was answered.
    pub outcome: Outcome,
    /// For a repeat: the `seq` of the entry that answered first.
    pub first: Option<u64>,
    /// What was recorded.
    pub events: Vec<MarketEvent>,
}

impl MarketEntry<'_> {
    /// `ce_id` of its record: `{key}/{seq}`.
    pub fn ce_id(&self) -> String {
        format!("{}/{}", self.key, self.seq)
    }
    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> MarketEntry<'static> {
        MarketEntry {
            key: borrowed::owned(self.key),
            command: self.command.into_owned(),
            context: self.context.into_owned(),
            ..self
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(rename = "v", deserialize_with = "version_1")]
    _v: (),
    #[serde(borrow, deserialize_with = "borrowed::text")]
    key: Cow<'a, str>,
    seq: u64,
    source: i64,
    recorded_at: Timestamp,
    #[serde(borrow)]
    command: CommandEnvelope<'a>,
    #[serde(borrow)]
    context: EntryContext<'a>,
    outcome: Outcome,
    #[serde(default)]
    first: Option<u64>,
    #[serde(deserialize_with = "event::list")]
    events: Vec<MarketEvent>,
}

/// Reads a market entry; texts and the command's body stay borrowed.
///
/// # Errors
/// Names the field, type or version that this release does not read, and where.
pub fn decode_market_entry(bytes: &[u8]) -> Result<MarketEntry<'_>, DecodeError> {
    if let Ok(parts) = canonical::entry(bytes, "{\"v\":1,\"key\":") {
        let canonical::Parts { key, head, command, context, events } = parts;
        let Head { seq, source, recorded_at, outcome, first } = head;
        let key = Cow::Borrowed(key);
        return Ok(MarketEntry { key, seq, source, recorded_at, command, context, outcome, first, events });
    }
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(DecodeError::malformed("a market entry"))?;
    let Wire { _v, key, seq, source, recorded_at, command, context, outcome, first, events } = wire;
    Ok(MarketEntry { key, seq, source, recorded_at, command, context, outcome, first, events })
}

/// Appends a market entry in its canonical form, without a line feed.
pub fn encode_market_entry(entry: &MarketEntry<'_>, out: &mut Vec<u8>) {
    let MarketEntry { key, seq, source, recorded_at, command, context, outcome, first, events } = entry;
    write::raw(out, "{\"v\":1,\"key\":");
    write::text(out, key);
    let head = Head { seq: *seq, source: *source, recorded_at: *recorded_at, outcome: *outcome, first: *first };
    head.write(command, context, out);
    event::encode_all(events, out);
    out.push(b'}');
}
