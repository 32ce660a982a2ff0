//! A claim: a writer's word that from here on a partition's entries are its own; decides nothing about who is right.

use crate::{entry::version_1, error::DecodeError, write};
use domain::time::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use std::fmt::Write;

/// `ce_type` of a claim.
pub const CLAIM_TYPE: &str = "bahi.claim.v1";

/// A writer's claim to a partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Claim {
    /// Live if higher than every term before.
    pub term: u64,
    /// The writer's random id.
    pub writer: u128,
    /// Which command topic `source` counts in; embedded, a uuid made with the folder.
    pub commands: Box<str>,
    /// When it was written.
    pub recorded_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "v", deserialize_with = "version_1")]
    _v: (),
    term: u64,
    #[serde(deserialize_with = "hex_32")]
    writer: u128,
    commands: Box<str>,
    recorded_at: Timestamp,
}

impl From<Wire> for Claim {
    fn from(Wire { _v, term, writer, commands, recorded_at }: Wire) -> Self {
        Self { term, writer, commands, recorded_at }
    }
}

/// Reads a claim.
///
/// # Errors
/// Names the field or version that this release does not read.
pub fn decode_claim(bytes: &[u8]) -> Result<Claim, DecodeError> {
    serde_json::from_slice(bytes).map_err(DecodeError::malformed("a claim"))
}

/// Appends a claim in its canonical form, without a line feed.
pub fn encode_claim(claim: &Claim, out: &mut Vec<u8>) {
    write::raw(out, "{\"v\":1,\"term\":");
    write::number(out, claim.term);
    write::raw(out, ",\"writer\":\"");
    write::raw(out, &writer_text(claim.writer));
    write::raw(out, "\",\"commands\":");
    write::text(out, &claim.commands);
    write::raw(out, ",\"recorded_at\":");
    write::instant(out, claim.recorded_at);
    out.push(b'}');
}

/// A writer's id as stored: 32 lower-case hex digits, also the `bahi-writer` header.
pub fn writer_text(writer: u128) -> String {
    let mut text = String::with_capacity(32);
    write!(text, "{writer:032x}").expect("a string takes everything");
    text
}

/// Reads `writer_text`; `None` for anything else.
pub fn parse_writer(text: &str) -> Option<u128> {
    let own = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    own.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn hex_32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = crate::borrowed::text(deserializer)?;
    parse_writer(&text).ok_or_else(|| D::Error::custom("writer must be 32 lower-case hex digits"))
}
