//! What must hold within one entry beyond its shape; knows no other entry, so nothing about sequences.

use crate::{
    entry::{Entry, Outcome},
    error::DecodeError,
    market_entry::MarketEntry,
};
use domain::{event::EventData, market::MarketEventData, rejection::Rejection};

/// Checks an account's entry and the `ce_id` of its record.
///
/// # Errors
/// `Inconsistent` in words, or why the command does not decode.
pub fn check_entry(entry: &Entry<'_>, ce_id: &str) -> Result<(), DecodeError> {
    let refusals = entry.events.iter().filter_map(|event| match &event.data {
        EventData::CommandRefused(refused) => Some(refused.code),
        _ => None,
    });
    let answer = Answer {
        seq: entry.seq,
        source: entry.source,
        outcome: entry.outcome,
        first: entry.first,
        events: entry.events.len(),
    };
    id(ce_id, &entry.ce_id())?;
    answer.check(refusals, || entry.command.command().map(drop))
}

/// Checks a market entry and the `ce_id` of its record.
///
/// # Errors
/// `Inconsistent` in words, or why the fact does not decode.
pub fn check_market_entry(entry: &MarketEntry<'_>, ce_id: &str) -> Result<(), DecodeError> {
    let refusals = entry.events.iter().filter_map(|event| match &event.data {
        MarketEventData::CommandRefused(refused) => Some(refused.code),
        _ => None,
    });
    let answer = Answer {
        seq: entry.seq,
        source: entry.source,
        outcome: entry.outcome,
        first: entry.first,
        events: entry.events.len(),
    };
    id(ce_id, &entry.ce_id())?;
    answer.check(refusals, || {
        let key = entry.command.fact()?.key();
        if *key == *entry.key { Ok(()) } else { fail(format!("a fact about '{key}' in an entry of '{}'", entry.key)) }
    })
}

struct Answer {
    seq: u64,
    source: i64,
    outcome: Outcome,
    first: Option<u64>,
    events: usize,
}

impl Answer {
    fn check(
        &self,
        mut refusals: impl Iterator<Item = Rejection>,
        command: impl FnOnce() -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let Self { seq, source, outcome, first, events } = *self;
        if seq == 0 || source < 0 {
            return fail(format!("seq {seq} counts from 1 and source {source} from 0"));
        }
        let refusal = refusals.next();
        match (outcome, refusal, first) {
            (Outcome::Accepted, None, None) => {}
            (Outcome::Refused, Some(_), None) if events == 1 => {}
            (Outcome::Repeat, None, Some(first)) if events == 0 && (1..seq).contains(&first) => {}
            (Outcome::Accepted, ..) => return fail("accepted, but refuses or names a first entry".into()),
            (Outcome::Refused, ..) => return fail(format!("refused with {events} events, must be one refusal")),
            (Outcome::Repeat, ..) => return fail("a repeat names an earlier entry and has no events".into()),
        }
        match refusal {
            // What could not be read then cannot be read now,
            Some(Rejection::Undecodable) => Ok(()),
            // nor can what repeats it, or came under its key.
            Some(Rejection::IdempotencyKeyReused) | None if outcome != Outcome::Accepted => match command() {
                Err(why @ DecodeError::Inconsistent(_)) => Err(why),
                Ok(()) | Err(_) => Ok(()),
            },
            _ => command(),
        }
    }
}

fn id(ce_id: &str, own: &str) -> Result<(), DecodeError> {
    if ce_id == own { Ok(()) } else { fail(format!("ce_id '{ce_id}' of the entry '{own}'")) }
}

fn fail(problem: String) -> Result<(), DecodeError> {
    Err(DecodeError::Inconsistent(problem.into()))
}
