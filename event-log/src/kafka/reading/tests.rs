//! Which consumers read what, on a real broker. `make services` starts one.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    EventLog,
    contract::record,
    kafka::{Kafka, tests::Own},
};

const SEED: u64 = 3;
const RECORDS: i64 = 5_000;
/// How many records are asked for one by one, and how many with others.
const SINGLE: usize = 200;
const TOGETHER: usize = 20;
/// Appended at a time while others read.
const FLIGHT: i64 = 100;

async fn put(log: &Kafka, partition: u32, numbers: std::ops::Range<i64>) {
    let records = numbers.map(|number| record("A", number)).collect();
    log.append(Topic::Ledger, partition, None, records).await.expect("they land");
}

/// How many wait, and how many of them are told to fetch.
fn waiting(idle: &Idle) -> (usize, usize) {
    let standing = idle.standing.lock();
    let assigned = |idle: &&Standing| idle.consumer.assignment().expect("it is asked").count() > 0;
    (standing.len(), standing.iter().filter(assigned).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_anywhere_are_found_while_more_land_by_one_consumer_that_fetches_nothing_in_between() {
    let own = Own::applied().await;
    let log = own.open().await;
    for first in (0..RECORDS).step_by(1_000) {
        put(&log, 0, first..first + 1_000).await;
    }
    let (done, watch) = tokio::sync::watch::channel(false);
    let growing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            let mut next = RECORDS;
            while !*watch.borrow() {
                put(&log, 0, next..next + FLIGHT).await;
                next += FLIGHT;
            }
            next
        }
    });
    let mut random = StdRng::seed_from_u64(SEED);
    for round in 0..SINGLE {
        let wanted = if round % 10 == 0 { TOGETHER } else { 1 };
        let mut offsets: Vec<u64> = (0..wanted).map(|_| random.random_range(0..RECORDS.unsigned_abs())).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let read = log.read_at(Topic::Ledger, 0, offsets.clone()).await.expect("they are there");
        let found: Vec<_> = read.iter().map(|stored| (stored.offset, &stored.record)).collect();
        let expected: Vec<_> = offsets.iter().map(|offset| (*offset, record("A", offset.cast_signed()))).collect();
        assert_eq!(found, expected.iter().map(|(offset, record)| (*offset, record)).collect::<Vec<_>>());
        assert_eq!(waiting(&log.readers.single), (1, 0));
    }
    done.send_replace(true);
    let end = growing.await.expect("it went well").unsigned_abs();
    let around_the_end = vec![end - 2, end - 1, end, end + 1];
    let read = log.read_at(Topic::Ledger, 0, around_the_end).await.expect("two are there");
    assert_eq!(read.iter().map(|stored| stored.offset).collect::<Vec<_>>(), [end - 2, end - 1]);
    assert_eq!((waiting(&log.readers.single), waiting(&log.readers.onward)), ((1, 0), (0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_reads_on_keeps_a_consumer_until_the_end_whoever_reads_single_records_meanwhile() {
    let own = Own::applied().await;
    let log = own.open().await;
    put(&log, 0, 0..1_000).await;
    for from in (0..1_000).step_by(100) {
        assert_eq!(waiting(&log.readers.onward), if from == 0 { (0, 0) } else { (1, 1) }, "at {from}");
        let read = log.read(Topic::Ledger, 0, from, 100).await.expect("they are there");
        assert_eq!(read.len(), 100);
        assert_eq!((read[0].offset, &read[0].record), (from, &record("A", from.cast_signed())));
        let single = log.read_at(Topic::Ledger, 0, vec![999 - from]).await.expect("it is there");
        assert_eq!(single[0].record, record("A", 999 - from.cast_signed()));
    }
    assert_eq!(waiting(&log.readers.onward), (1, 0), "nobody reads on from the end");
    assert!(log.read(Topic::Ledger, 0, 1_000, 100).await.expect("nothing is there").is_empty());
    put(&log, 0, 1_000..1_001).await;
    assert_eq!(log.read(Topic::Ledger, 0, 1_000, 100).await.expect("it is there")[0].record, record("A", 1_000));
    assert_eq!(waiting(&log.readers.onward), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_was_asked_about_another_partition_does_not_mistake_its_end() {
    let own = Own::applied().await;
    let log = own.open().await;
    let end = IDLE_MAX as u64 + 1;
    put(&log, 0, 0..end.cast_signed()).await;
    put(&log, 1, 0..2 * end.cast_signed()).await;
    // As many as are kept, each where nobody else stands: the first of them stands before the last record.
    for from in (0..end - 1).rev() {
        assert_eq!(log.read(Topic::Ledger, 0, from, 1).await.expect("it is there")[0].offset, from);
    }
    assert_eq!(waiting(&log.readers.onward), (IDLE_MAX, IDLE_MAX));
    // It is the one that is asked.
    assert!(log.read(Topic::Ledger, 1, 2 * end, 1).await.expect("nothing is there").is_empty());
    let last = log.read(Topic::Ledger, 0, end - 1, 10).await.expect("it is there");
    assert_eq!(last.iter().map(|stored| stored.offset).collect::<Vec<_>>(), [end - 1]);
    assert!(log.read(Topic::Ledger, 0, end, 10).await.expect("nothing is there").is_empty());
}
