//! What every adapter must keep, as tests that an adapter joins with one line; knows no adapter.
//!
//! [`event_log_contract`](crate::event_log_contract) makes a test of each function here. A log given
//! to one has three partitions and nothing in it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::try_join_all, stream::FuturesUnordered};
use tokio::time::timeout;

use crate::{
    APPEND_BYTES_MAX, APPEND_RECORDS_MAX, BoxFuture, Error, EventLog, Follow, Headers, READ_BYTES_MAX,
    READ_RECORDS_MAX, Record, RecordKind, Stored, TEXT_BYTES_MAX, Topic, VALUE_BYTES_MAX,
};

/// How many partitions a log given to the suite has.
pub const PARTITIONS: u32 = 3;

/// No step of the suite takes longer, on any machine that builds it.
const WAIT: Duration = Duration::from_secs(60);

/// Makes a test of each obligation, on the log that `$open` makes; `$open` is an async function that
/// answers what keeps the log alive and an `Arc<dyn EventLog>`.
#[macro_export]
macro_rules! event_log_contract {
    ($open:path) => {
        $crate::event_log_contract!($open:
            records_come_back_in_order_as_they_were_appended,
            an_append_answers_its_first_offset_and_moves_the_tail,
            an_append_at_another_end_is_refused_and_nothing_lands,
            an_append_of_nothing_answers_the_end,
            appends_in_flight_commit_in_the_order_of_the_calls,
            concurrent_appends_leave_no_gap_and_no_repeat,
            an_append_whose_future_is_dropped_lands_all_the_same,
            topics_and_partitions_are_apart,
            what_is_too_large_is_refused_and_nothing_lands,
            a_partition_that_is_not_there_is_named,
            a_read_is_bounded_by_number_and_bytes,
            a_read_at_answers_exactly_the_offsets_asked,
            offsets_of_a_key_ascend_from_where_asked,
            a_follower_sees_everything_once_across_the_hand_over,
            a_slow_follower_misses_nothing,
            a_follower_starts_where_asked,
            dropping_a_followers_wait_loses_nothing,
        );
    };
    ($open:path: $($name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_kept, log) = $open().await;
                $crate::contract::$name(log).await;
            }
        )*
    };
}

/// A log, shared as the product shares it.
type Log = Arc<dyn EventLog>;

/// A record with everything in it, told apart by `number`.
pub fn record(key: &str, number: i64) -> Record {
    let headers = Headers {
        ce_type: RecordKind::Entry,
        ce_id: format!("{key}/{number}").into(),
        ce_time: 1_795_406_462_123_456 + number,
        term: 2,
        writer: 0x0123_4567_89ab_cdef,
        after: number - 1,
        source: number,
        kinds: if number % 2 == 0 { "cash_posted" } else { "order_requested,cash_posted" }.into(),
        traceparent: (number % 3 == 0).then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    let value = Bytes::from(format!("{{\"v\":1,\"account\":\"{key}\",\"seq\":{number}}}"));
    Record { key: Some(key.into()), headers, value }
}

fn records(numbers: std::ops::Range<i64>) -> Vec<Record> {
    numbers.map(|number| record(&format!("ACC{}", number % 7), number)).collect()
}

async fn append(log: &Log, records: Vec<Record>) -> u64 {
    log.append(Topic::Ledger, 0, None, records).await.expect("an append lands")
}

/// Reads everything, however often that takes.
async fn read_all(log: &Log) -> Vec<Arc<Stored>> {
    let mut all = Vec::new();
    loop {
        let next = log.read(Topic::Ledger, 0, all.len() as u64, usize::MAX).await;
        let next = next.expect("a read succeeds");
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

fn assert_holds(stored: &[Arc<Stored>], first: u64, expected: &[Record]) {
    assert_eq!(stored.len(), expected.len());
    for ((stored, expected), offset) in stored.iter().zip(expected).zip(first..) {
        assert_eq!(stored.offset, offset);
        assert_eq!(stored.record, *expected);
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WAIT, future).await.expect("it takes less than the limit")
}

/// Takes batches until so many records were given.
async fn take(follow: &mut Follow, number: usize) -> Vec<Arc<Stored>> {
    let mut taken = Vec::new();
    while taken.len() < number {
        let batch = within(follow.next()).await.expect("a follower goes on");
        assert!(!batch.is_empty(), "a batch holds records");
        taken.extend(batch);
    }
    taken
}

/// Every header, the key or its absence, and the value, byte for byte.
pub async fn records_come_back_in_order_as_they_were_appended(log: Log) {
    let mut expected = records(0..300);
    let claim = Headers::claim(u64::MAX, u128::MAX, "claim".into(), -1);
    expected.push(Record { key: None, headers: claim, value: Bytes::from_static(b"\x00\xff") });
    let mut odd = record("Ü/-", 0);
    (odd.headers.after, odd.headers.source) = (i64::MIN, i64::MAX);
    odd.headers.ce_time = i64::MIN;
    (odd.headers.ce_type, odd.value) = (RecordKind::Market, Bytes::new());
    expected.push(odd);
    append(&log, expected[..100].to_vec()).await;
    append(&log, expected[100..].to_vec()).await;
    assert_holds(&read_all(&log).await, 0, &expected);
}

/// The tail is the next offset.
pub async fn an_append_answers_its_first_offset_and_moves_the_tail(log: Log) {
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 0);
    assert_eq!(append(&log, records(0..3)).await, 0);
    assert_eq!(append(&log, records(3..4)).await, 3);
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 4);
}

/// Below the end and past it.
pub async fn an_append_at_another_end_is_refused_and_nothing_lands(log: Log) {
    append(&log, records(0..3)).await;
    for at in [0, 2, 4] {
        let refused = log.append(Topic::Ledger, 0, Some(at), records(3..4)).await;
        assert!(matches!(refused, Err(Error::NotTheEnd { end: 3 })), "{refused:?}");
    }
    assert_eq!(read_all(&log).await.len(), 3);
    let taken = log.append(Topic::Ledger, 0, Some(3), records(3..4)).await;
    assert_eq!(taken.expect("the end is the end"), 3);
}

/// And it changes nothing.
pub async fn an_append_of_nothing_answers_the_end(log: Log) {
    append(&log, records(0..2)).await;
    assert_eq!(append(&log, Vec::new()).await, 2);
    let refused = log.append(Topic::Ledger, 0, Some(1), Vec::new()).await;
    assert!(matches!(refused, Err(Error::NotTheEnd { end: 2 })), "{refused:?}");
}

/// Even when the futures are polled in another order.
pub async fn appends_in_flight_commit_in_the_order_of_the_calls(log: Log) {
    let calls = (0..200).map(|number| {
        let at = (number % 2 == 0).then_some(number as u64);
        log.append(Topic::Ledger, 0, at, records(number..number + 1))
    });
    let calls: Vec<_> = calls.collect();
    let landed = within(try_join_all(calls.into_iter().rev())).await.expect("all land");
    assert_eq!(landed, (0..200).rev().collect::<Vec<_>>());
    assert_holds(&read_all(&log).await, 0, &records(0..200));
}

/// From many tasks at once.
pub async fn concurrent_appends_leave_no_gap_and_no_repeat(log: Log) {
    let task = |task: i64| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut landed = Vec::new();
            for number in 0..50 {
                let pair = vec![record("A", task * 1000 + number), record("B", number)];
                landed.push(append(&log, pair).await);
            }
            assert!(landed.is_sorted(), "a caller's appends land in its order");
            landed
        })
    };
    let mut tasks: FuturesUnordered<_> = (0..16).map(task).collect();
    let mut landed = Vec::new();
    while let Some(done) = within(tasks.next()).await {
        landed.extend(done.expect("a task ends well"));
    }
    landed.sort_unstable();
    assert_eq!(landed, (0..1600).step_by(2).collect::<Vec<_>>());
    let all = read_all(&log).await;
    assert_eq!(all.len(), 1600);
    for pair in all.chunks(2) {
        assert_eq!(pair[0].record.key.as_deref(), Some("A"), "an append's records stay together");
        assert_eq!(pair[1].record.key.as_deref(), Some("B"));
    }
}

/// The call is what counts.
pub async fn an_append_whose_future_is_dropped_lands_all_the_same(log: Log) {
    drop(log.append(Topic::Ledger, 0, None, records(0..1)));
    assert_eq!(append(&log, records(1..2)).await, 1);
    assert_holds(&read_all(&log).await, 0, &records(0..2));
}

/// Each has its own offsets, keys and end.
pub async fn topics_and_partitions_are_apart(log: Log) {
    let places = Topic::ALL.into_iter().flat_map(|topic| (0..PARTITIONS).map(move |p| (topic, p)));
    for (number, (topic, partition)) in (0..).zip(places.clone()) {
        assert_eq!(log.partitions(topic), PARTITIONS);
        let first = log.append(topic, partition, Some(0), vec![record("A", number)]).await;
        assert_eq!(first.expect("it lands"), 0);
    }
    for (number, (topic, partition)) in (0..).zip(places) {
        let stored = log.read(topic, partition, 0, 10).await.expect("a read succeeds");
        assert_holds(&stored, 0, &[record("A", number)]);
        let offsets = log.offsets_of(topic, partition, "A", 0, 10).await;
        assert_eq!(offsets.expect("keys are found"), [0]);
        assert_eq!(log.tail(topic, partition).await.expect("there is a tail"), 1);
    }
}

/// Too many records, too long a key or header, too large a value or sum.
pub async fn what_is_too_large_is_refused_and_nothing_lands(log: Log) {
    let with_value = |length| Record { value: vec![b'x'; length].into(), ..record("A", 1) };
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let mut long_kinds = record("A", 1);
    long_kinds.headers.kinds = long.as_str().into();
    let values = APPEND_BYTES_MAX / VALUE_BYTES_MAX + 1;
    for refused in [
        vec![record("A", 1); APPEND_RECORDS_MAX + 1],
        vec![record(&long, 1)],
        vec![long_kinds],
        vec![with_value(VALUE_BYTES_MAX + 1)],
        vec![with_value(VALUE_BYTES_MAX); values],
    ] {
        let refused = log.append(Topic::Ledger, 0, None, refused).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    }
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 0);
    let largest = vec![with_value(VALUE_BYTES_MAX); values - 1];
    append(&log, largest.clone()).await;
    assert_holds(&read_all(&log).await, 0, &largest);
}

/// By every function of the port.
pub async fn a_partition_that_is_not_there_is_named(log: Log) {
    let (topic, absent) = (Topic::Market, PARTITIONS);
    let errors = [
        log.append(topic, absent, None, records(0..1)).await.err(),
        log.read(topic, absent, 0, 1).await.err(),
        log.read_at(topic, absent, vec![0]).await.err(),
        log.offsets_of(topic, absent, "A", 0, 1).await.err(),
        log.tail(topic, absent).await.err(),
        within(log.follow(topic, absent, 0).next()).await.err(),
    ];
    for error in errors {
        let named = matches!(error, Some(Error::NoPartition { topic: t, partition })
            if t == topic && partition == absent);
        assert!(named, "{error:?}");
    }
}

/// From the middle of what was appended together, past the end, and of none.
pub async fn a_read_is_bounded_by_number_and_bytes(log: Log) {
    let all = records(0..1000);
    append(&log, all.clone()).await;
    for (from, max) in [(0, 1), (0, 64), (1, 63), (63, 2), (500, 130), (990, 10)] {
        let read = log.read(Topic::Ledger, 0, from, max).await.expect("a read succeeds");
        assert_holds(&read, from, &all[from as usize..][..max]);
    }
    for (from, max) in [(0, 0), (1000, 5), (u64::MAX, 5)] {
        let read = log.read(Topic::Ledger, 0, from, max).await.expect("a read succeeds");
        assert!(read.is_empty(), "from {from}, {max} at most");
    }
    let large = vec![Record { value: vec![0; VALUE_BYTES_MAX].into(), ..record("A", 1) }; 12];
    append(&log, large).await;
    let read = log.read(Topic::Ledger, 0, 1000, usize::MAX).await.expect("a read succeeds");
    assert_eq!(read.len(), READ_BYTES_MAX / VALUE_BYTES_MAX);
}

/// Near and far apart, and none past the end.
pub async fn a_read_at_answers_exactly_the_offsets_asked(log: Log) {
    let all = records(0..2000);
    append(&log, all.clone()).await;
    for offsets in [vec![], vec![0], vec![3, 4, 5, 70, 1999], (0..2000).step_by(13).collect()] {
        let read = log.read_at(Topic::Ledger, 0, offsets.clone()).await.expect("a read succeeds");
        assert_eq!(read.len(), offsets.len());
        for (stored, offset) in read.iter().zip(offsets) {
            assert_eq!((stored.offset, &stored.record), (offset, &all[offset as usize]));
        }
    }
    let read = log.read_at(Topic::Ledger, 0, vec![7, 2000, u64::MAX]).await;
    assert_eq!(read.expect("a read succeeds").len(), 1);
}

/// Over far more records than an adapter may keep at hand.
pub async fn offsets_of_a_key_ascend_from_where_asked(log: Log) {
    let total = 140_000;
    let key = |number: i64| format!("ACC{}", number % 1000);
    let mut appends = Vec::new();
    for first in (0..total).step_by(2000) {
        let some = (first..first + 2000).map(|number| record(&key(number), number)).collect();
        appends.push(log.append(Topic::Ledger, 0, None, some));
        if appends.len() == 8 {
            within(try_join_all(appends.drain(..))).await.expect("all land");
        }
    }
    within(try_join_all(appends)).await.expect("all land");
    let expected: Vec<u64> = (0..total as u64).filter(|offset| offset % 1000 == 5).collect();
    let from_to = [(0, usize::MAX, 0, 140), (0, 3, 0, 3), (5, 1, 0, 1), (6, 2, 1, 3), (65_000, 2, 65, 67)];
    for (from, max, first, end) in from_to.into_iter().chain([(139_005, 9, 139, 140), (139_006, 9, 140, 140)]) {
        let found = log.offsets_of(Topic::Ledger, 0, "ACC5", from, max).await;
        assert_eq!(found.expect("keys are found"), expected[first..end], "{max} from {from}");
    }
    for (key, from) in [("ACC", 0), ("", 0), ("ACC5", u64::MAX)] {
        let found = log.offsets_of(Topic::Ledger, 0, key, from, READ_RECORDS_MAX).await;
        assert_eq!(found.expect("keys are found"), [0; 0]);
    }
}

/// While another task appends all the time.
pub async fn a_follower_sees_everything_once_across_the_hand_over(log: Log) {
    append(&log, records(0..500)).await;
    let writing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for first in (500..3000).step_by(5) {
                append(&log, records(first..first + 5)).await;
            }
        }
    });
    let mut followers = [log.follow(Topic::Ledger, 0, 0), log.follow(Topic::Ledger, 0, 0)];
    for follow in &mut followers {
        assert_holds(&take(follow, 3000).await, 0, &records(0..3000));
    }
    within(writing).await.expect("the writer ends well");
}

/// One that looks away while more is appended than anything keeps in memory.
pub async fn a_slow_follower_misses_nothing(log: Log) {
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    append(&log, records(0..10)).await;
    assert_holds(&take(&mut follow, 10).await, 0, &records(0..10));
    for first in (10..20_010).step_by(1000) {
        append(&log, records(first..first + 1000)).await;
    }
    assert_holds(&take(&mut follow, 20_000).await, 10, &records(10..20_010));
    append(&log, records(20_010..20_011)).await;
    assert_holds(&take(&mut follow, 1).await, 20_010, &records(20_010..20_011));
}

/// In the middle, and past the end: it waits there.
pub async fn a_follower_starts_where_asked(log: Log) {
    append(&log, records(0..10)).await;
    let mut middle = log.follow(Topic::Ledger, 0, 7);
    let mut ahead = log.follow(Topic::Ledger, 0, 12);
    assert_holds(&take(&mut middle, 3).await, 7, &records(7..10));
    append(&log, records(10..13)).await;
    assert_holds(&take(&mut ahead, 1).await, 12, &records(12..13));
}

/// As when a caller waits for several things at once.
pub async fn dropping_a_followers_wait_loses_nothing(log: Log) {
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    let mut taken = Vec::new();
    for number in 0..20 {
        let landing: BoxFuture<'_, _> = log.append(Topic::Ledger, 0, None, records(number..number + 1));
        tokio::select! {
            biased;
            batch = follow.next() => taken.extend(batch.expect("a follower goes on")),
            landed = landing => drop(landed.expect("an append lands")),
        }
    }
    let rest = 20 - taken.len();
    taken.extend(take(&mut follow, rest).await);
    assert_holds(&taken, 0, &records(0..20));
}
