//! Commands and facts as they travel to a writer in another process, and back; decides nothing.

use crate::{
    facts, ledger,
    queue::Prepared,
    submission::{Asked, AskedCommand, AskedFact, By, FactSubmission, Submission, Unread},
};
use domain::ids::{AccountId, CommandId};
use event_log::{Headers, Position, Record, RecordKind, Stored};
use event_schemas::{self as schemas, CommandEnvelope, DecodeError, decode_command, encode_command};
use std::sync::Arc;

/// First size of a request's buffer: an order fits.
const REQUEST_BYTES: usize = 512;
/// What may be around a body: far more than ids and names take. An entry without its body must hold it.
const ENVELOPE_BYTES_MAX: usize = 16 * 1_024;

/// A command as its record.
pub(crate) fn of_command(command: &Prepared<AskedCommand>) -> Record {
    let account = command.item.account.as_str();
    let traceparent = command.item.traceparent.clone();
    record(RecordKind::Command, account, &ledger::envelope(&command.item, &command.body), traceparent)
}

/// A fact as its record.
pub(crate) fn of_fact(fact: &Prepared<AskedFact>) -> Record {
    let traceparent = fact.item.traceparent.clone();
    record(RecordKind::Fact, &fact.item.fact.key(), &facts::envelope(&fact.item, &fact.body), traceparent)
}

fn record(kind: RecordKind, key: &str, envelope: &CommandEnvelope<'_>, traceparent: Option<Box<str>>) -> Record {
    let mut value = Vec::with_capacity(REQUEST_BYTES);
    encode_command(envelope, &mut value);
    let headers = Headers::request(kind, envelope.id.as_ref().into(), envelope.issued_at.micros(), traceparent);
    Record { key: Some(key.into()), headers, value: value.into() }
}

/// Reads a command; one of ours that is of no kind, version or shape of this release is [`Asked::Unread`], so that it is
/// refused and those behind it are answered.
///
/// # Errors
/// In words, when it is no command of ours at all.
pub(crate) fn command(stored: &Stored) -> Result<Prepared<AskedCommand>, String> {
    let envelope = envelope(stored, RecordKind::Command)?;
    let key = key(stored)?;
    let account = AccountId::new(key).map_err(|error| format!("its account: {error}"))?;
    let Common { id, by, request_id } = common(&envelope)?;
    let min_position = envelope.min_position.as_deref().map(Box::from);
    let min = min_position.as_deref().map(str::parse::<Position>).transpose();
    let (min_market, command) = match (min, envelope.command()) {
        (Ok(min), Ok(command)) => (min.and_then(|min| min.wanted_of_market()), Asked::Known(command)),
        (min, command) => {
            let why = command.map_err(words).err().or(min.err().map(|error| error.to_string()));
            (None, Asked::Unread(unread(stored, key, &envelope, why)))
        }
    };
    let (issued_at, traceparent) = (envelope.issued_at, stored.record.headers.traceparent.clone());
    let asked = Submission { account, id, by, command, request_id, min_market, min_position, issued_at, traceparent };
    Ok(ledger::prepare_asked(asked, &envelope.body))
}

/// Reads a fact, as [`command`] does a command.
///
/// # Errors
/// In words, when it is no fact of ours at all.
pub(crate) fn fact(stored: &Stored) -> Result<Prepared<AskedFact>, String> {
    let envelope = envelope(stored, RecordKind::Fact)?;
    let key = key(stored)?;
    let fact = match envelope.fact() {
        Ok(fact) => Asked::Known(fact),
        Err(why) => Asked::Unread(unread(stored, key, &envelope, Some(words(why)))),
    };
    let Common { id, by, request_id } = common(&envelope)?;
    let (issued_at, traceparent) = (envelope.issued_at, stored.record.headers.traceparent.clone());
    Ok(facts::prepare_asked(FactSubmission { id, by, fact, request_id, issued_at, traceparent }, &envelope.body))
}

/// What a request is about.
fn key(stored: &Stored) -> Result<&str, String> {
    stored.record.key.as_deref().ok_or_else(|| "it has no key".to_owned())
}

fn unread(stored: &Stored, key: &str, envelope: &CommandEnvelope<'_>, why: Option<String>) -> Unread {
    let (id, why) = (&*envelope.id, why.unwrap_or_default());
    tracing::error!(key, command = id, offset = stored.offset, why, "a request does not read; it is refused");
    Unread { key: key.into(), kind: envelope.kind.as_ref().into(), v: envelope.v }
}

fn envelope(stored: &Stored, kind: RecordKind) -> Result<CommandEnvelope<'_>, String> {
    let found = stored.record.headers.ce_type;
    if found != kind {
        return Err(format!("it is a {}, not a {}", found.name(), kind.name()));
    }
    let envelope = decode_command(&stored.record.value).map_err(words)?;
    match stored.record.value.len() - envelope.body.get().len() {
        0..=ENVELOPE_BYTES_MAX => Ok(envelope),
        around => Err(format!("{around} bytes are around its body, at most {ENVELOPE_BYTES_MAX} may be")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what an error is mapped with")]
fn words(error: DecodeError) -> String {
    error.to_string()
}

struct Common {
    id: CommandId,
    by: Arc<By>,
    request_id: Option<Box<str>>,
}

fn common(envelope: &CommandEnvelope<'_>) -> Result<Common, String> {
    let id = CommandId::new(&envelope.id).map_err(|error| format!("its id: {error}"))?;
    let schemas::By { subject, role, session, origin, algo_id } = &envelope.by;
    let by = By {
        subject: subject.as_ref().into(),
        role: *role,
        session: session.as_deref().map(Into::into),
        origin: origin.as_deref().map(Into::into),
        algo_id: algo_id.as_deref().map(Into::into),
    };
    Ok(Common { id, by: Arc::new(by), request_id: envelope.request_id.as_deref().map(Into::into) })
}
