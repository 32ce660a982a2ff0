//! Following while brokers are away, over the client's own test brokers: one that is away keeps its records, drops every
//! connection and takes none.

use std::ops::Range;

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;
use crate::{EventLog, Follow, contract::record, kafka::Kafka};

/// The longest until a follower has what it waits for: a question to a broker that is away has ten seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// How long nothing comes from a broker that is away: long enough for the client to meet it some times.
const AWAY: Duration = Duration::from_millis(300);

type Brokers = MockCluster<'static, DefaultProducerContext>;

/// So many brokers, all of which have a ledger and a market of one partition.
fn started(count: i32) -> Brokers {
    let brokers = MockCluster::new(count).expect("brokers of the test's own");
    for topic in ["t.ledger", "t.market"] {
        brokers.create_topic(topic, 1, count).expect("a topic");
        brokers.partition_leader(topic, 0, Some(1)).expect("it leads");
    }
    brokers
}

fn opened(brokers: &Brokers) -> Kafka {
    let cluster = Cluster::new(&brokers.bootstrap_servers(), "t").expect("a prefix");
    Kafka::over(Arc::new(cluster), 1, Uuid::nil()).expect("it opens")
}

/// Begins to append these numbers where they belong; they land once there is a broker.
fn append(log: &Kafka, numbers: Range<i64>) -> impl Future<Output = ()> {
    let first = numbers.start.unsigned_abs();
    let landing = log.append(Topic::Ledger, 0, None, numbers.map(|number| record("ACC1", number)).collect());
    async move { assert_eq!(landing.await.expect("it lands"), first) }
}

/// Exactly these come next, one after another, however often the broker has to be asked again.
async fn comes(follow: &mut Follow, numbers: Range<i64>) {
    let mut next = numbers.start;
    let all = async {
        while next < numbers.end {
            match follow.next().await {
                Ok(batch) => {
                    for stored in batch {
                        assert_eq!(stored.offset, next.unsigned_abs());
                        assert_eq!(stored.record, record("ACC1", next));
                        next += 1;
                    }
                }
                Err(Error::Unreachable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(LIMIT, all).await.expect("they come in time");
    assert_eq!(next, numbers.end, "more came than was appended");
}

async fn nothing_comes(follow: &mut Follow) {
    let came = timeout(AWAY, follow.next()).await;
    assert!(came.is_err(), "{came:?} came from nowhere");
}

#[tokio::test]
async fn following_goes_on_after_a_broker_was_away() {
    let brokers = started(1);
    let log = opened(&brokers);
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    append(&log, 0..100).await;
    comes(&mut follow, 0..100).await;
    for round in 1..=5 {
        let next = round * 100..(round + 1) * 100;
        brokers.broker_down(1).expect("it goes away");
        let landing = append(&log, next.clone());
        nothing_comes(&mut follow).await;
        brokers.broker_up(1).expect("it comes back");
        landing.await;
        comes(&mut follow, next).await;
    }
    nothing_comes(&mut follow).await;
}

#[tokio::test]
async fn a_broker_that_goes_away_in_the_middle_costs_followers_nothing() {
    let brokers = started(1);
    let (log, other) = (opened(&brokers), opened(&brokers));
    let mut follows = [log.follow(Topic::Ledger, 0, 0), other.follow(Topic::Ledger, 0, 0)];
    let restarts = async {
        for _ in 0..10 {
            brokers.broker_down(1).expect("it goes away");
            tokio::time::sleep(AWAY / 10).await;
            brokers.broker_up(1).expect("it comes back");
            tokio::time::sleep(AWAY).await;
        }
    };
    let appends = async {
        for first in (0..4_000).step_by(20) {
            append(&log, first..first + 20).await;
        }
    };
    let [one, two] = &mut follows;
    tokio::join!(restarts, appends, comes(one, 0..4_000), comes(two, 0..4_000));
}

#[tokio::test]
async fn who_is_behind_or_begins_while_a_broker_is_away_reads_on_when_it_is_back() {
    let brokers = started(1);
    let log = opened(&brokers);
    append(&log, 0..3_000).await;
    // What this one's past is read from has seen the broker; that one's is met by nobody yet.
    let (behind, fresh) = (opened(&brokers), opened(&brokers));
    let (mut one, mut two) = (behind.follow(Topic::Ledger, 0, 0), fresh.follow(Topic::Ledger, 0, 1_500));
    let first = timeout(LIMIT, one.next()).await.expect("it comes in time").expect("it is read");
    let taken = i64::try_from(first.len()).expect("a batch");
    brokers.broker_down(1).expect("it goes away");
    nothing_comes(&mut two).await;
    brokers.broker_up(1).expect("it comes back");
    tokio::join!(comes(&mut one, taken..3_000), comes(&mut two, 1_500..3_000));
    append(&log, 3_000..3_010).await;
    tokio::join!(comes(&mut one, 3_000..3_010), comes(&mut two, 3_000..3_010));
}

#[tokio::test]
async fn following_goes_on_at_the_broker_that_leads_next() {
    let brokers = started(3);
    let log = opened(&brokers);
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    append(&log, 0..100).await;
    comes(&mut follow, 0..100).await;
    for (round, (from, to)) in (1..).zip([(1, 2), (2, 3), (3, 1)]) {
        brokers.broker_down(from).expect("it goes away");
        brokers.partition_leader("t.ledger", 0, Some(to)).expect("another leads");
        append(&log, round * 100..(round + 1) * 100).await;
        comes(&mut follow, round * 100..(round + 1) * 100).await;
        brokers.broker_up(from).expect("it comes back");
    }
}
