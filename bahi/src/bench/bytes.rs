//! What entries weigh in a log on brokers: key, headers and value, as they are handed over and read back. Knows nothing of
//! the batches and files that a broker makes of them.

use super::{place::Place, report::Bytes};
use crate::error::Error;
use event_log::{EventLog, Record, RecordKind, Topic, kafka::Kafka};

/// Records read at a time.
const READ_RECORDS: usize = 4_096;
/// Records read of each partition where reading all would take minutes.
const LAST_RECORDS: u64 = 100_000;

/// Of every entry.
///
/// # Errors
/// When the log cannot be read to its end.
pub async fn of_all(place: &Place) -> Result<Bytes, Error> {
    let per_entry = in_log(place, u64::MAX).await?;
    Ok(Bytes { per_entry, of: Some("key, headers and value, before a broker's batches".to_owned()) })
}

/// Of the last entries of each partition.
///
/// # Errors
/// When the log cannot be read to its end.
pub async fn of_last(place: &Place) -> Result<Bytes, Error> {
    let per_entry = in_log(place, LAST_RECORDS).await?;
    let of = format!("key, headers and value, before a broker's batches, of the last {LAST_RECORDS} of a partition");
    Ok(Bytes { per_entry, of: Some(of) })
}

async fn in_log(place: &Place, last: u64) -> Result<u64, Error> {
    let log = Kafka::open(&place.brokers, &place.name).await?;
    let bytes = per_entry(&log, last).await;
    log.close();
    bytes
}

/// Bytes of so many last records of each partition, by entries among them: a claim is none.
async fn per_entry(log: &dyn EventLog, last: u64) -> Result<u64, Error> {
    let (mut bytes, mut entries) = (0, 0);
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            let end = log.tail(topic, partition).await?;
            let mut next = end.saturating_sub(last);
            while next < end {
                let records = log.read(topic, partition, next, READ_RECORDS).await?;
                let Some(newest) = records.last() else {
                    return Err(Error::NotClean(format!("{topic}/{partition} is read to {next} and ends at {end}")));
                };
                next = newest.offset + 1;
                bytes += records.iter().map(|stored| weight(&stored.record)).sum::<u64>();
                let is_entry = |record: &Record| record.headers.ce_type != RecordKind::Claim;
                entries += records.iter().filter(|stored| is_entry(&stored.record)).count() as u64;
            }
        }
    }
    Ok(bytes / entries.max(1))
}

fn weight(record: &Record) -> u64 {
    let headers = record.headers.to_pairs();
    let headers: usize = headers.iter().map(|(name, text)| name.len() + text.len()).sum();
    (record.key.as_deref().map_or(0, str::len) + headers + record.value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_log::{Headers, memory::Memory};

    #[tokio::test]
    async fn claims_have_bytes_and_are_no_entries() {
        let headers = Headers::claim(1, 2, "ACC1/1".into(), 3);
        let claim = Record { key: None, headers, value: b"{}".to_vec().into() };
        let headers = Headers { ce_type: RecordKind::Entry, ..claim.headers.clone() };
        let entry = Record { key: Some("ACC1".into()), headers, ..claim.clone() };
        // Names and texts of the eleven headers are 216 bytes in both.
        assert_eq!((weight(&claim), weight(&entry)), (218, 222));
        let log = Memory::new(1);
        log.append(Topic::Ledger, 0, None, vec![claim, entry.clone(), entry]).await.expect("it is appended");
        assert_eq!(per_entry(&log, u64::MAX).await.expect("it is read"), (218 + 2 * 222) / 2);
        assert_eq!(per_entry(&log, 1).await.expect("it is read"), 222);
    }
}
