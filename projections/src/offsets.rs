//! Where an account's live entries are, by the log's own index, and reading them; folds nothing.

use crate::{Error, store::Views};
use domain::ids::AccountId;
use event_log::{EventLog, Stored, Topic};
use std::{ops::Range, sync::Arc};

/// Entries read at once; other tasks get their turn in between.
pub(crate) const READ_ENTRIES_MAX: usize = 1024;

/// How far a partition is folded.
pub(crate) fn folded(views: &Views, topic: Topic, partition: u32) -> u64 {
    views.position().next(topic, partition).unwrap_or_default()
}

/// The offsets of an account's live entries that are folded, ascending; empty for an account without any.
///
/// # Errors
/// What the log says.
pub async fn offsets(log: &dyn EventLog, views: &Views, account: &AccountId) -> Result<Vec<u64>, Error> {
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let all = 0..folded(views, Topic::Ledger, partition);
    live(log, views, (Topic::Ledger, partition, account.as_str()), all, usize::MAX).await
}

/// The offsets of the first `max` live records of a key in this part of its partition, which must be folded.
pub(crate) async fn live(
    log: &dyn EventLog,
    views: &Views,
    (topic, partition, key): (Topic, u32, &str),
    part: Range<u64>,
    max: usize,
) -> Result<Vec<u64>, Error> {
    let (mut offsets, mut from) = (Vec::new(), part.start);
    while offsets.len() < max && from < part.end {
        let mut found = log.offsets_of(topic, partition, key, from, max - offsets.len()).await?;
        let Some(last) = found.last() else { break };
        from = last + 1;
        found.retain(|offset| *offset < part.end);
        views.keep_live(topic, partition, &mut found);
        offsets.extend(found);
    }
    Ok(offsets)
}

/// The records at these offsets, or as many of them as there are.
pub(crate) async fn records(
    log: &dyn EventLog,
    topic: Topic,
    partition: u32,
    mut offsets: Vec<u64>,
) -> Result<Vec<Arc<Stored>>, Error> {
    let mut all = Vec::with_capacity(offsets.len());
    while !offsets.is_empty() {
        let records = log.read_at(topic, partition, offsets.clone()).await?;
        if records.is_empty() {
            break;
        }
        offsets.drain(..records.len());
        all.extend(records);
    }
    Ok(all)
}
