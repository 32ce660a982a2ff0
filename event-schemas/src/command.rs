//! A command as stored within its entry: who asked what, under which id; the body stays unread until asked for.

use crate::{
    borrowed,
    error::DecodeError,
    hashes,
    versioned::{self, Versioned},
    write,
};
use domain::{
    command::{Command, Submitter},
    market::Fact,
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Who asked, and how; nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By<'a> {
    /// The caller's opaque id.
    #[serde(borrow, deserialize_with = "borrowed::text")]
    pub subject: Cow<'a, str>,
    /// As what; with the scope it scopes the command's id.
    pub role: Submitter,
    /// The token or session it was asked under.
    #[serde(borrow, deserialize_with = "borrowed::text_or_null")]
    pub session: Option<Cow<'a, str>>,
    /// Opaque key to the caller's address, which is kept outside the log.
    #[serde(borrow, deserialize_with = "borrowed::text_or_null")]
    pub origin: Option<Cow<'a, str>>,
    /// The exchange's id of the algorithm that asked.
    #[serde(borrow, deserialize_with = "borrowed::text_or_null")]
    pub algo_id: Option<Cow<'a, str>>,
}

/// A command and what came with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandEnvelope<'a> {
    /// Its id, scoped to account (or market) and role.
    #[serde(borrow, deserialize_with = "borrowed::text")]
    pub id: Cow<'a, str>,
    /// What kind of command.
    #[serde(borrow, deserialize_with = "borrowed::text")]
    pub kind: Cow<'a, str>,
    /// Version of the body.
    pub v: u32,
    /// The body as stored.
    #[serde(borrow, deserialize_with = "borrowed::raw")]
    pub body: Cow<'a, RawValue>,
    /// When it was handed over.
    pub issued_at: Timestamp,
    /// Who asked.
    #[serde(borrow)]
    pub by: By<'a>,
    /// The request's id, for tracing.
    #[serde(borrow, deserialize_with = "borrowed::text_or_null")]
    pub request_id: Option<Cow<'a, str>>,
    /// The market position that deciding had to wait for.
    #[serde(borrow, deserialize_with = "borrowed::text_or_null")]
    pub min_position: Option<Cow<'a, str>>,
}

impl CommandEnvelope<'_> {
    /// The body as a command to an account, older versions brought to the current one.
    ///
    /// # Errors
    /// When the kind is unknown, the version newer, or the body of another shape.
    pub fn command(&self) -> Result<Command, DecodeError> {
        versioned::read(&self.kind, self.v, &self.body)
    }
    /// The body as a market fact, older versions brought to the current one.
    ///
    /// # Errors
    /// When the kind is unknown, the version newer, or the body of another shape.
    pub fn fact(&self) -> Result<Fact, DecodeError> {
        versioned::read(&self.kind, self.v, &self.body)
    }
    /// Hash of kind, version and stored body: what a repeat under the same id must equal.
    pub fn content_hash(&self) -> [u8; 16] {
        hashes::content_hash(&self.kind, self.v, self.body.get())
    }
    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> CommandEnvelope<'static> {
        let By { subject, role, session, origin, algo_id } = self.by;
        CommandEnvelope {
            id: borrowed::owned(self.id),
            kind: borrowed::owned(self.kind),
            v: self.v,
            body: Cow::Owned(self.body.into_owned()),
            issued_at: self.issued_at,
            by: By {
                subject: borrowed::owned(subject),
                role,
                session: session.map(borrowed::owned),
                origin: origin.map(borrowed::owned),
                algo_id: algo_id.map(borrowed::owned),
            },
            request_id: self.request_id.map(borrowed::owned),
            min_position: self.min_position.map(borrowed::owned),
        }
    }
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write::raw(out, "{\"id\":");
        write::text(out, &self.id);
        write::raw(out, ",\"kind\":");
        write::text(out, &self.kind);
        write::raw(out, ",\"v\":");
        write::number(out, self.v);
        write::raw(out, ",\"body\":");
        write::raw(out, self.body.get());
        write::raw(out, ",\"issued_at\":");
        write::instant(out, self.issued_at);
        write::raw(out, ",\"by\":{\"subject\":");
        write::text(out, &self.by.subject);
        write::raw(out, ",\"role\":\"");
        write::raw(out, self.by.role.name());
        write::raw(out, "\",\"session\":");
        write::text_or_null(out, self.by.session.as_deref());
        write::raw(out, ",\"origin\":");
        write::text_or_null(out, self.by.origin.as_deref());
        write::raw(out, ",\"algo_id\":");
        write::text_or_null(out, self.by.algo_id.as_deref());
        write::raw(out, "},\"request_id\":");
        write::text_or_null(out, self.request_id.as_deref());
        write::raw(out, ",\"min_position\":");
        write::text_or_null(out, self.min_position.as_deref());
        out.push(b'}');
    }
}

impl PartialEq for CommandEnvelope<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.kind == other.kind
            && self.v == other.v
            && self.body.get() == other.body.get()
            && self.issued_at == other.issued_at
            && self.by == other.by
            && self.request_id == other.request_id
            && self.min_position == other.min_position
    }
}

/// Reads a command or a fact on its way to be answered; the body stays unread.
///
/// # Errors
/// Names the field that is not as this release has it.
pub fn decode_command(bytes: &[u8]) -> Result<CommandEnvelope<'_>, DecodeError> {
    serde_json::from_slice(bytes).map_err(DecodeError::malformed("a command"))
}

/// Appends a command or a fact in its canonical form, as its entry will hold it, without a line feed.
pub fn encode_command(command: &CommandEnvelope<'_>, out: &mut Vec<u8>) {
    command.write(out);
}

/// A command's body in its canonical form: what is stored, and hashed as its content.
pub fn command_body(command: &Command) -> Box<RawValue> {
    body(command)
}

/// A fact's body in its canonical form: what is stored, and hashed as its content.
pub fn fact_body(fact: &Fact) -> Box<RawValue> {
    body(fact)
}

fn body(command: &impl Versioned) -> Box<RawValue> {
    /// First size of the buffer: an order's body fits.
    const BODY_BYTES: usize = 192;
    let mut out = Vec::with_capacity(BODY_BYTES);
    command.write(&mut serde_json::Serializer::new(&mut out)).expect("a buffer takes everything");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    RawValue::from_string(text).expect("a serialized body is JSON")
}
