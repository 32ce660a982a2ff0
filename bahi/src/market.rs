//! Market facts on their way in and out of the log: a cold fold, facts handed over, the shipped calendar; decides none.

use crate::{clock, error::Error};
use commands::{Answer, By, Desk, FactSubmission, OutcomeResult};
use domain::{
    calendar_file,
    command::Submitter,
    ids::CommandId,
    market::{self, Fact, Market},
    rejection::Rejection,
};
use event_log::{
    EventLog, Topic,
    rule::{Reader, Verdict},
};
use std::{iter, sync::Arc};

/// Facts handed over together: a flight of the writer.
pub const FACTS_TOGETHER: usize = 512;
/// Records read at a time.
const READ_RECORDS: usize = 4096;

/// All facts recorded so far, folded from the log.
///
/// # Errors
/// When the log cannot be read, contradicts itself, or holds an entry that does not decode.
pub async fn fold(log: &dyn EventLog) -> Result<Market, Error> {
    let mut market = Market::default();
    for partition in 0..log.partitions(Topic::Market) {
        let mut reader = Reader::default();
        let unreadable = |offset, reason: String| {
            Error::NotClean(format!("offset {offset} of {}/{partition}: {reason}", Topic::Market))
        };
        loop {
            let records = log.read(Topic::Market, partition, reader.offset, READ_RECORDS).await?;
            if records.is_empty() {
                break;
            }
            for stored in records {
                let folded = reader.fold(stored.offset, &stored.record.headers);
                if folded.map_err(|why| unreadable(stored.offset, why.to_string()))? != Verdict::Entry {
                    continue;
                }
                let entry = event_schemas::entry::decode_market_entry(&stored.record.value)
                    .map_err(|why| unreadable(stored.offset, why.to_string()))?;
                market = entry.events.iter().fold(market, market::evolve);
                market.seqs.insert(entry.key.as_ref().into(), entry.seq);
            }
        }
    }
    Ok(market)
}

/// As whom the product itself records facts.
pub fn by(subject: &str, role: Submitter) -> Arc<By> {
    Arc::new(By { subject: subject.into(), role, session: None, origin: None, algo_id: None })
}

/// A fact under this id, now.
pub fn submission(id: CommandId, by: &Arc<By>, fact: Fact) -> FactSubmission {
    let (by, issued_at) = (Arc::clone(by), clock::now());
    FactSubmission { id, by, fact, request_id: None, issued_at, traceparent: None }
}

/// Loads the calendar that ships with the product, unless this edition was loaded before.
///
/// # Errors
/// When the writer does not take it.
pub async fn load_calendar(desk: &Desk) -> Result<(), Error> {
    let days = calendar_file::parse(calendar_file::SHIPPED).expect("the shipped calendar is tested");
    let id =
        |date| CommandId::new(&format!("calendar-file/{}/{date}", calendar_file::VERSION)).expect("short and visible");
    let Some(last) = days.last() else { return Ok(()) };
    if desk.fact_outcome(Submitter::System, &id(last.date)).await.is_some() {
        return Ok(());
    }
    let by = by("calendar-file", Submitter::System);
    let facts: Vec<FactSubmission> =
        days.into_iter().map(|day| submission(id(day.date), &by, Fact::from(day))).collect();
    let count = facts.len();
    let mut contradicted = 0_usize;
    // One first: what is put while nobody answers stays among the requests for ever.
    let (first, rest) = facts.split_at(1);
    for facts in iter::once(first).chain(rest.chunks(FACTS_TOGETHER)) {
        for answer in desk.submit_facts(facts.to_vec()).await {
            match refusal(&answer)? {
                None | Some(Rejection::FactRepeated) => {}
                // An operator knew better, and their fact stands.
                Some(_) => contradicted += 1,
            }
        }
    }
    let edition = calendar_file::VERSION;
    tracing::info!(edition, days = count, contradicted, "the shipped calendar is loaded");
    Ok(())
}

/// Why a fact was refused; nothing when it was taken.
///
/// # Errors
/// When it was not decided: the writer is busy, or its disk is full.
pub fn refusal(answer: &Answer) -> Result<Option<Rejection>, Error> {
    match answer {
        Answer::Answered(answered) => match answered.outcome.result {
            OutcomeResult::Accepted { .. } => Ok(None),
            OutcomeResult::Refused { code, .. } => Ok(Some(code)),
        },
        Answer::KeyReused { .. } => Ok(Some(Rejection::IdempotencyKeyReused)),
        Answer::Busy { .. } | Answer::RateLimited { .. } => {
            Err(Error::Server("the writer takes nothing now: its queue or its disk is full".to_owned()))
        }
        Answer::Unknown => Err(Error::Server("the writer did not answer in time; the same again is safe".to_owned())),
    }
}
