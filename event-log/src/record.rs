//! A record and its headers; refuses to know what a value says.
//!
//! Records are CloudEvents in binary mode. [`Headers`] is the typed form of their headers, which an
//! adapter stores as compactly as it likes; [`Headers::to_pairs`] and [`Headers::from_pairs`] give
//! the textual form in which they travel.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::offset};

/// A topic that the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `bahi.ledger`: one entry for each command, by account.
    Ledger,
    /// `bahi.market`: one entry for each observed market fact, by instrument.
    Market,
}

impl Topic {
    /// Every topic, in the order of their numbers in stores.
    pub const ALL: [Topic; 2] = [Topic::Ledger, Topic::Market];

    /// The name, as a broker would know it.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Ledger => "bahi.ledger",
            Topic::Market => "bahi.market",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What kind of record this is, and the version of its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// `bahi.entry.v1`: the answer to one command.
    Entry,
    /// `bahi.market.v1`: the answer to one market fact.
    Market,
    /// `bahi.claim.v1`: a writer takes a term.
    Claim,
    /// `bahi.command.v1`: a command that waits to be answered.
    Command,
    /// `bahi.fact.v1`: an observed fact that waits to be answered.
    Fact,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [RecordKind; 5] =
        [RecordKind::Entry, RecordKind::Market, RecordKind::Claim, RecordKind::Command, RecordKind::Fact];

    /// The `ce_type` as it travels.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Entry => "bahi.entry.v1",
            RecordKind::Market => "bahi.market.v1",
            RecordKind::Claim => "bahi.claim.v1",
            RecordKind::Command => "bahi.command.v1",
            RecordKind::Fact => "bahi.fact.v1",
        }
    }

    /// Whether it waits to be answered: its record has no term, writer, source or kinds of events.
    pub fn is_request(self) -> bool {
        matches!(self, RecordKind::Command | RecordKind::Fact)
    }
}

/// The typed headers of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The kind and version of the record (`ce_type`).
    pub ce_type: RecordKind,
    /// The record's own id (`ce_id`), `{account}/{seq}` for an entry.
    pub ce_id: Box<str>,
    /// When it was recorded (`ce_time`), in microseconds since 1970; text is RFC 3339 at +05:30.
    pub ce_time: i64,
    /// The term under which it was written (`bahi-term`).
    pub term: u64,
    /// The writer that wrote it (`bahi-writer`, 32 hex digits).
    pub writer: u128,
    /// The source of the entry before it (`bahi-after`); -1 when there is none, and in claims.
    pub after: i64,
    /// The offset of the command that it answers (`bahi-source`); -1 in claims.
    pub source: i64,
    /// The event types in it, joined by commas (`bahi-kinds`); empty in claims.
    pub kinds: Arc<str>,
    /// The W3C trace that caused it (`traceparent`).
    pub traceparent: Option<Box<str>>,
}

/// The `ce_source` of every record.
const SOURCE: &str = "bahi";
/// The version of CloudEvents that the headers follow.
const SPEC_VERSION: &str = "1.0";
/// What every value is.
const CONTENT_TYPE: &str = "application/json";
/// Indian Standard Time, in which times are written.
const IST: UtcOffset = offset!(+05:30);

impl Headers {
    /// The headers of a claim of `term` by `writer`.
    pub fn claim(term: u64, writer: u128, ce_id: Box<str>, ce_time: i64) -> Headers {
        let ce_type = RecordKind::Claim;
        let kinds = Arc::default();
        Headers { ce_type, ce_id, ce_time, term, writer, after: -1, source: -1, kinds, traceparent: None }
    }

    /// The headers of a command or a fact on its way.
    pub fn request(ce_type: RecordKind, ce_id: Box<str>, ce_time: i64, traceparent: Option<Box<str>>) -> Headers {
        Headers {
            ce_type,
            ce_id,
            ce_time,
            term: 0,
            writer: 0,
            after: -1,
            source: -1,
            kinds: Arc::default(),
            traceparent,
        }
    }

    /// The headers as text, in a fixed order.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("ce_specversion", SPEC_VERSION.to_owned()),
            ("ce_id", self.ce_id.to_string()),
            ("ce_source", SOURCE.to_owned()),
            ("ce_type", self.ce_type.name().to_owned()),
            ("ce_time", time_to_text(self.ce_time)),
            ("content-type", CONTENT_TYPE.to_owned()),
        ];
        if !self.ce_type.is_request() {
            pairs.extend([
                ("bahi-term", self.term.to_string()),
                ("bahi-writer", format!("{:032x}", self.writer)),
                ("bahi-after", self.after.to_string()),
                ("bahi-source", self.source.to_string()),
                ("bahi-kinds", self.kinds.to_string()),
            ]);
        }
        if let Some(traceparent) = &self.traceparent {
            pairs.push(("traceparent", traceparent.to_string()));
        }
        pairs
    }

    /// The headers from text, in any order; a header not known is passed over, as brokers add some.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Headers, Malformed> {
        let mut found = Found::default();
        for (name, text) in pairs {
            let place = match name {
                "ce_specversion" => &mut found.spec_version,
                "ce_id" => &mut found.id,
                "ce_type" => &mut found.kind,
                "ce_time" => &mut found.time,
                "bahi-term" => &mut found.term,
                "bahi-writer" => &mut found.writer,
                "bahi-after" => &mut found.after,
                "bahi-source" => &mut found.source,
                "bahi-kinds" => &mut found.kinds,
                "traceparent" => &mut found.traceparent,
                _ => continue,
            };
            if place.replace(text).is_some() {
                return Err(Malformed { name: name.to_owned(), why: "appears twice" });
            }
        }
        found.parse()
    }
}

/// The texts of the headers that are read, before they are understood.
#[derive(Default)]
struct Found<'a> {
    spec_version: Option<&'a str>,
    id: Option<&'a str>,
    kind: Option<&'a str>,
    time: Option<&'a str>,
    term: Option<&'a str>,
    writer: Option<&'a str>,
    after: Option<&'a str>,
    source: Option<&'a str>,
    kinds: Option<&'a str>,
    traceparent: Option<&'a str>,
}

impl Found<'_> {
    fn parse(self) -> Result<Headers, Malformed> {
        if required("ce_specversion", self.spec_version)? != SPEC_VERSION {
            return Err(malformed("ce_specversion", "is not 1.0"));
        }
        let kind = required("ce_type", self.kind)?;
        let ce_type = RecordKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| malformed("ce_type", "is not a kind and version this release knows"))?;
        if ce_type.is_request() {
            let ce_time = time_from_text(required("ce_time", self.time)?)?;
            let traceparent = self.traceparent.map(Into::into);
            return Ok(Headers::request(ce_type, required("ce_id", self.id)?.into(), ce_time, traceparent));
        }
        let writer = required("bahi-writer", self.writer)?;
        if writer.len() != 32 || !writer.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed("bahi-writer", "is not 32 hex digits"));
        }
        Ok(Headers {
            ce_type,
            ce_id: required("ce_id", self.id)?.into(),
            ce_time: time_from_text(required("ce_time", self.time)?)?,
            term: number("bahi-term", self.term)?,
            writer: u128::from_str_radix(writer, 16).map_err(|_| malformed("bahi-writer", "is not 32 hex digits"))?,
            after: number("bahi-after", self.after)?,
            source: number("bahi-source", self.source)?,
            kinds: required("bahi-kinds", self.kinds)?.into(),
            traceparent: self.traceparent.map(Into::into),
        })
    }
}

/// A header that is missing or does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name} {why}")]
pub struct Malformed {
    /// Which header.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn malformed(name: &str, why: &'static str) -> Malformed {
    Malformed { name: name.to_owned(), why }
}

fn required<'a>(name: &str, text: Option<&'a str>) -> Result<&'a str, Malformed> {
    text.ok_or_else(|| malformed(name, "is missing"))
}

fn number<N: FromStr>(name: &str, text: Option<&str>) -> Result<N, Malformed> {
    required(name, text)?.parse().map_err(|_| malformed(name, "is not a decimal number in range"))
}

/// A time outside the years that RFC 3339 has is written as the number it is, so that it is read as the same; no clock
/// gives one.
fn time_to_text(micros: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000);
    let in_india = time.ok().and_then(|time| time.checked_to_offset(IST));
    let Some(time) = in_india.filter(|time| (0..=9999).contains(&time.year())) else { return micros.to_string() };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+05:30",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}

fn time_from_text(text: &str) -> Result<i64, Malformed> {
    if let Ok(micros) = text.parse() {
        return Ok(micros);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| malformed("ce_time", "is not an RFC 3339 time"))?;
    i64::try_from(time.unix_timestamp_nanos() / 1000).map_err(|_| malformed("ce_time", "is out of range"))
}

/// What is appended: a key, typed headers and the exact bytes that proofs are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The account or the fact's key; none for a claim.
    pub key: Option<Box<str>>,
    /// The headers.
    pub headers: Headers,
    /// The value, kept byte for byte.
    pub value: Bytes,
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its offset in its partition.
    pub offset: u64,
    /// The record.
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> Headers {
        Headers {
            ce_type: RecordKind::Entry,
            ce_id: "ACC1/41".into(),
            // 2026-11-23T09:31:02.123456+05:30
            ce_time: 1_795_406_462_123_456,
            term: 3,
            writer: 0xabc,
            after: 1040,
            source: 1041,
            kinds: "order_requested,cash_posted".into(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }
    }

    fn reread(headers: &Headers) -> Result<Headers, Malformed> {
        let pairs = headers.to_pairs();
        Headers::from_pairs(pairs.iter().map(|(name, text)| (*name, text.as_str())))
    }

    #[test]
    fn headers_are_written_as_the_contract_says() {
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", "ACC1/41"),
            ("ce_source", "bahi"),
            ("ce_type", "bahi.entry.v1"),
            ("ce_time", "2026-11-23T09:31:02.123456+05:30"),
            ("content-type", "application/json"),
            ("bahi-term", "3"),
            ("bahi-writer", "00000000000000000000000000000abc"),
            ("bahi-after", "1040"),
            ("bahi-source", "1041"),
            ("bahi-kinds", "order_requested,cash_posted"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ];
        let pairs = headers().to_pairs();
        let pairs: Vec<_> = pairs.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_header_that_is_missing_repeated_or_unreadable_is_named() {
        let pairs = headers().to_pairs();
        let texts: Vec<_> = pairs.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let without = texts.iter().copied().filter(|(name, _)| *name != "bahi-term");
        assert_eq!(Headers::from_pairs(without), Err(malformed("bahi-term", "is missing")));
        let twice = texts.iter().copied().chain([("bahi-term", "4")]);
        assert_eq!(Headers::from_pairs(twice), Err(malformed("bahi-term", "appears twice")));
        for (name, text) in [
            ("ce_type", "bahi.entry.v2"),
            ("bahi-writer", "abc"),
            ("bahi-source", "1.5"),
            ("ce_time", "yesterday"),
            ("ce_specversion", "0.3"),
        ] {
            let changed = texts.iter().map(|(n, t)| (*n, if *n == name { text } else { *t }));
            let refused = Headers::from_pairs(changed).expect_err("an unreadable header was taken");
            assert_eq!(refused.name, name);
        }
    }

    #[test]
    fn a_request_has_no_term_and_is_read_as_it_was_written() {
        let trace: Box<str> = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
        for kind in [RecordKind::Command, RecordKind::Fact] {
            let headers = Headers::request(kind, "key-1".into(), 1_795_406_462_123_456, Some(trace.clone()));
            assert!(headers.to_pairs().iter().all(|(name, _)| !name.starts_with("bahi-")));
            assert_eq!(reread(&headers), Ok(headers));
        }
    }

    proptest! {
        #[test]
        fn headers_survive_being_written_and_read(
            ce_type in prop::sample::select(vec![RecordKind::Entry, RecordKind::Market, RecordKind::Claim]),
            ce_id in "[ -~]{0,40}",
            ce_time: i64,
            term: u64, writer: u128, after: i64, source: i64,
            kinds in "[a-z_,]{0,60}",
            traceparent in prop::option::of("[0-9a-f-]{55}"),
        ) {
            let headers = Headers {
                ce_type, ce_id: ce_id.into(), ce_time, term, writer, after, source,
                kinds: kinds.into(), traceparent: traceparent.map(Into::into),
            };
            prop_assert_eq!(reread(&headers), Ok(headers));
        }
    }
}
