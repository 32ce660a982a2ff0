//! An account's entry: the answer to one command, holding its events; its bytes are what proofs are about.
//!
//! Decoding is closed: an unknown field, a missing one or another version is an error that names it.

use crate::{borrowed, canonical, command::CommandEnvelope, error::DecodeError, event, write};
use domain::{calendar::CalendarMode, event::Event, ids::AccountId, time::Timestamp};
use serde::{Deserialize, Deserializer, de::Error};
use std::borrow::Cow;

pub use crate::{
    claim::{Claim, decode_claim, encode_claim},
    command::{By, command_body, fact_body},
    event::{kinds, market_kinds},
    hashes::{content_hash, key_hash},
    market_entry::{MarketEntry, decode_market_entry, encode_market_entry},
};

/// `ce_type` of an account's entry.
pub const ENTRY_TYPE: &str = "bahi.entry.v1";
/// Version of the entry's own shape.
pub const ENTRY_VERSION: u32 = 1;

/// How a command was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its events happened; a fact known already may have none.
    Accepted,
    /// One event says why not.
    Refused,
    /// Answered before; `first` names that entry, and there are no events.
    Repeat,
}

impl Outcome {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Repeat => "repeat",
        }
    }
}

/// Under what the command was decided: the same again gives the same events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryContext<'a> {
    /// Market records folded, by partition: the next offset of each.
    pub market: Vec<u64>,
    /// Which calendar.
    pub calendar: CalendarMode,
    /// Version of the policy file.
    #[serde(borrow, deserialize_with = "borrowed::text")]
    pub policy: Cow<'a, str>,
    /// Version of `decide`.
    pub rules: u32,
}

impl EntryContext<'_> {
    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> EntryContext<'static> {
        EntryContext { policy: borrowed::owned(self.policy), ..self }
    }
    fn write(&self, out: &mut Vec<u8>) {
        write::raw(out, "{\"market\":[");
        for (at, next) in self.market.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write::number(out, *next);
        }
        write::raw(out, "],\"calendar\":\"");
        write::raw(out, self.calendar.name());
        write::raw(out, "\",\"policy\":");
        write::text(out, &self.policy);
        write::raw(out, ",\"rules\":");
        write::number(out, self.rules);
        out.push(b'}');
    }
}

/// An account's entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Whose.
    pub account: AccountId,
    /// Counts the account's entries from 1 without a gap.
    pub seq: u64,
    /// Offset of the command it answers; embedded, counts the partition's commands from 0.
    pub source: i64,
    /// The time `decide` was given; never decreases within a partition.
    pub recorded_at: Timestamp,
    /// What was asked.
    pub command: CommandEnvelope<'a>,
    /// Under what it was decided.
    pub context: EntryContext<'a>,
    /// How it was answered.
    pub outcome: Outcome,
    /// For a repeat: the `seq` of the entry that answered first.
    pub first: Option<u64>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Entry<'_> {
    /// `ce_id` of its record: `{account}/{seq}`.
    pub fn ce_id(&self) -> String {
        format!("{}/{}", self.account, self.seq)
    }
    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> Entry<'static> {
        Entry { command: self.command.into_owned(), context: self.context.into_owned(), ..self }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(rename = "v", deserialize_with = "version_1")]
    _v: (),
    account: AccountId,
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
    events: Vec<Event>,
}

/// Reads an account's entry; texts and the command's body stay borrowed.
///
/// # Errors
/// Names the field, type or version that this release does not read, and where.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry<'_>, DecodeError> {
    match canonical::entry::<Event>(bytes, OPENING).ok().and_then(from_parts) {
        Some(entry) => Ok(entry),
        None => decode_any_form(bytes),
    }
}

/// What folding needs of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// Whose.
    pub account: AccountId,
    /// Counts the account's entries from 1 without a gap.
    pub seq: u64,
    /// The time `decide` was given; never decreases within a partition.
    pub recorded_at: Timestamp,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl From<Entry<'_>> for Happened {
    fn from(entry: Entry<'_>) -> Self {
        let Entry { account, seq, recorded_at, events, .. } = entry;
        Self { account, seq, recorded_at, events }
    }
}

/// Reads of an account's entry what folding needs: the command and its context are passed over where the entry has
/// its canonical form, and not checked.
///
/// # Errors
/// As [`decode_entry`], but for what was passed over.
pub fn decode_happened(bytes: &[u8]) -> Result<Happened, DecodeError> {
    let read = canonical::happened::<Event>(bytes, OPENING).ok();
    let read = read.and_then(|(key, seq, recorded_at, events)| {
        let account = AccountId::new(key).ok()?;
        Some(Happened { account, seq, recorded_at, events })
    });
    match read {
        Some(happened) => Ok(happened),
        None => decode_any_form(bytes).map(Happened::from),
    }
}

/// How the canonical form begins, up to the account.
const OPENING: &str = "{\"v\":1,\"account\":";

fn from_parts(parts: canonical::Parts<'_, Event>) -> Option<Entry<'_>> {
    let canonical::Parts { key, head, command, context, events } = parts;
    let Head { seq, source, recorded_at, outcome, first } = head;
    let account = AccountId::new(key).ok()?;
    Some(Entry { account, seq, source, recorded_at, command, context, outcome, first, events })
}

/// Reads an entry in any order of fields, with spaces and escapes; says what is wrong.
fn decode_any_form(bytes: &[u8]) -> Result<Entry<'_>, DecodeError> {
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(DecodeError::malformed("an entry"))?;
    let Wire { _v, account, seq, source, recorded_at, command, context, outcome, first, events } = wire;
    Ok(Entry { account, seq, source, recorded_at, command, context, outcome, first, events })
}

/// Appends an entry in its canonical form, without a line feed.
pub fn encode_entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let Entry { account, seq, source, recorded_at, command, context, outcome, first, events } = entry;
    write::raw(out, "{\"v\":1,\"account\":\"");
    write::raw(out, account.as_str());
    out.push(b'"');
    let head = Head { seq: *seq, source: *source, recorded_at: *recorded_at, outcome: *outcome, first: *first };
    head.write(command, context, out);
    event::encode_all(events, out);
    out.push(b'}');
}

/// What entries of accounts and of the market have in common.
pub(crate) struct Head {
    pub seq: u64,
    pub source: i64,
    pub recorded_at: Timestamp,
    pub outcome: Outcome,
    pub first: Option<u64>,
}

impl Head {
    /// Writes everything between the key and the events.
    pub(crate) fn write(&self, command: &CommandEnvelope<'_>, context: &EntryContext<'_>, out: &mut Vec<u8>) {
        write::raw(out, ",\"seq\":");
        write::number(out, self.seq);
        write::raw(out, ",\"source\":");
        write::number(out, self.source);
        write::raw(out, ",\"recorded_at\":");
        write::instant(out, self.recorded_at);
        write::raw(out, ",\"command\":");
        command.write(out);
        write::raw(out, ",\"context\":");
        context.write(out);
        write::raw(out, ",\"outcome\":\"");
        write::raw(out, self.outcome.name());
        out.push(b'"');
        if let Some(first) = self.first {
            write::raw(out, ",\"first\":");
            write::number(out, first);
        }
        write::raw(out, ",\"events\":");
    }
}

/// The only version of an envelope's own shape.
pub(crate) fn version_1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match u32::deserialize(deserializer)? {
        ENTRY_VERSION => Ok(()),
        other => Err(D::Error::custom(format_args!("version {other}, but this release reads version {ENTRY_VERSION}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: [&str; 4] = [
        include_str!("../golden/entries/entry.accepted.v1.json"),
        include_str!("../golden/entries/entry.refused.v1.json"),
        include_str!("../golden/entries/entry.repeat.v1.json"),
        include_str!("../golden/entries/entry.filled.v1.json"),
    ];

    fn fast(bytes: &[u8]) -> Option<Entry<'_>> {
        canonical::entry::<Event>(bytes, OPENING).ok().and_then(from_parts)
    }

    #[test]
    fn the_canonical_reader_reads_what_is_written() {
        for text in GOLDEN {
            let bytes = text.trim_end().as_bytes();
            assert_eq!(fast(bytes).expect("the canonical form"), decode_any_form(bytes).unwrap());
        }
    }

    #[test]
    fn what_folding_needs_is_read_as_in_the_whole_entry() {
        for text in GOLDEN {
            let bytes = text.trim_end().as_bytes();
            assert!(
                canonical::happened::<Event>(bytes, OPENING).is_ok(),
                "the canonical form is read without the rest"
            );
            let spaced = text.replace("\",\"", "\", \"");
            for bytes in [bytes, spaced.as_bytes()] {
                assert_eq!(decode_happened(bytes).unwrap(), decode_entry(bytes).unwrap().into());
            }
        }
    }

    #[test]
    fn whatever_folding_reads_of_a_whole_entry_is_read_the_same() {
        for text in GOLDEN {
            let original = text.trim_end().as_bytes();
            for at in 0..original.len() {
                for byte in [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'9', b'a', 0x00, 0xc3] {
                    let mut changed = original.to_vec();
                    changed[at] = byte;
                    // What was passed over may be broken; what was read must not differ.
                    if let (Ok(happened), Ok(entry)) = (decode_happened(&changed), decode_entry(&changed)) {
                        assert_eq!(happened, entry.into());
                    }
                }
            }
        }
    }

    #[test]
    fn whatever_the_canonical_reader_takes_the_general_reader_takes_the_same() {
        for text in GOLDEN {
            let original = text.trim_end().as_bytes();
            for at in 0..original.len() {
                for byte in (0x1f..0x7f).chain([0x00, 0x7f, 0x80, 0xc3, 0xff]) {
                    let mut changed = original.to_vec();
                    changed[at] = byte;
                    if let Some(entry) = fast(&changed) {
                        let general = decode_any_form(&changed);
                        assert_eq!(
                            entry,
                            general.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&changed)))
                        );
                    }
                    changed.remove(at);
                    if let Some(entry) = fast(&changed) {
                        assert_eq!(entry, decode_any_form(&changed).unwrap());
                    }
                }
            }
        }
    }
}
