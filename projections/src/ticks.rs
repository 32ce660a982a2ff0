//! Live prices between two that are remembered, read from the log again for a question about the past; keeps nothing.
//!
//! A log with an index by key is asked for the records of each instrument. A broker has none: there the part of a
//! partition that is asked about is read once for all instruments, and no record behind it. Which of its records count
//! is known without those before it, as it begins at a live entry, and the rule remembers nothing that this does not say.

use crate::{
    Error,
    offsets::{READ_ENTRIES_MAX, live, records},
    past::undecodable,
    prices::{Live, Prices},
    store::Views,
};
use domain::{ids::InstrumentId, market::MarketEventData, time::Timestamp};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::entry::decode_market_entry;
use std::{collections::HashMap, ops::Range};

/// Where the live prices of one instrument, which is named once, are that a question needs: from the live entry of one that is remembered on.
pub(crate) struct Between {
    pub(crate) instrument: InstrumentId,
    pub(crate) offsets: Range<u64>,
}

/// Adds the live prices of one partition that lie between those that are remembered; with a time, those that traded by
/// then.
///
/// # Errors
/// `Undecodable` for an entry that cannot be read, and what the log says.
pub(crate) async fn add_between(
    log: &dyn EventLog,
    views: &Views,
    partition: u32,
    mut wanted: Vec<Between>,
    until: Option<Timestamp>,
    prices: &mut Prices,
) -> Result<(), Error> {
    if !views.reads_market_through() {
        for between in &wanted {
            by_key(log, views, partition, between, until, prices).await?;
        }
        return Ok(());
    }
    wanted.retain(|between| !between.offsets.is_empty());
    wanted.sort_unstable_by_key(|between| between.offsets.start);
    let mut rest = wanted.as_slice();
    while let Some(first) = rest.first() {
        let (mut part, mut together) = (first.offsets.clone(), 1);
        while let Some(next) = rest.get(together).filter(|next| next.offsets.start <= part.end) {
            part.end = part.end.max(next.offsets.end);
            together += 1;
        }
        let (these, others) = rest.split_at(together);
        read_through(log, partition, part, these, until, prices).await?;
        rest = others;
    }
    Ok(())
}

/// Through the log's index.
async fn by_key(
    log: &dyn EventLog,
    views: &Views,
    partition: u32,
    between: &Between,
    until: Option<Timestamp>,
    prices: &mut Prices,
) -> Result<(), Error> {
    let Between { instrument, offsets: Range { start, end } } = between;
    let mut from = *start;
    loop {
        let key = (Topic::Market, partition, instrument.as_str());
        let offsets = live(log, views, key, from..*end, READ_ENTRIES_MAX).await?;
        let Some(last) = offsets.last() else { return Ok(()) };
        from = last + 1;
        for stored in records(log, Topic::Market, partition, offsets).await? {
            take(partition, &stored, instrument, until, prices)?;
        }
    }
}

/// One record after the other, from a live entry on.
async fn read_through(
    log: &dyn EventLog,
    partition: u32,
    part: Range<u64>,
    wanted: &[Between],
    until: Option<Timestamp>,
    prices: &mut Prices,
) -> Result<(), Error> {
    let wanted: HashMap<&str, &Between> = wanted.iter().map(|between| (between.instrument.as_str(), between)).collect();
    let (mut reader, mut from) = (None::<Reader>, part.start);
    while from < part.end {
        let max = usize::try_from(part.end - from).unwrap_or(usize::MAX).min(READ_ENTRIES_MAX);
        let batch = log.read(Topic::Market, partition, from, max).await?;
        let Some(last) = batch.last() else { break };
        from = last.offset + 1;
        for stored in &batch {
            if !counts(&mut reader, stored)
                .map_err(|reason| undecodable(Topic::Market, partition, stored.offset, reason))?
            {
                continue;
            }
            let asked = stored.record.key.as_deref().and_then(|key| wanted.get(key));
            if let Some(between) = asked.filter(|between| between.offsets.contains(&stored.offset)) {
                take(partition, stored, &between.instrument, until, prices)?;
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Whether a record counts; the first that is asked about does.
fn counts(reader: &mut Option<Reader>, stored: &Stored) -> Result<bool, Box<str>> {
    let headers = &stored.record.headers;
    match reader {
        Some(reader) => match reader.fold(stored.offset, headers) {
            Ok(verdict) => Ok(verdict == Verdict::Entry),
            Err(corruption) => Err(corruption.to_string().into()),
        },
        None => {
            let (offset, term, writer, last) = (stored.offset + 1, headers.term, headers.writer, headers.source);
            *reader = Some(Reader { offset, term, writer, last });
            Ok(true)
        }
    }
}

fn take(
    partition: u32,
    stored: &Stored,
    instrument: &InstrumentId,
    until: Option<Timestamp>,
    prices: &mut Prices,
) -> Result<(), Error> {
    let entry = decode_market_entry(&stored.record.value)
        .map_err(|error| undecodable(Topic::Market, partition, stored.offset, error.to_string().into()))?;
    for event in &entry.events {
        if let MarketEventData::Last(fact) = &event.data
            && until.is_none_or(|until| fact.at <= until)
        {
            prices.take_live(instrument, Live { last: fact.last, at: fact.at });
        }
    }
    Ok(())
}
