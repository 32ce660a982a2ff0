//! Appends that go wrong, over the client's own test broker: it speaks the real protocol and fails when it is told to.

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;
use crate::{APPEND_BYTES_MAX, VALUE_BYTES_MAX, contract::record};

/// The longest that anything takes here: a delivery has ten seconds.
const LIMIT: Duration = Duration::from_secs(30);

type Broker = MockCluster<'static, DefaultProducerContext>;

/// A broker with a ledger of one partition, and the queue of its appender.
fn started() -> (Broker, Arc<Queue>) {
    let broker = MockCluster::new(1).expect("a broker of the test's own");
    broker.create_topic("t.ledger", 1, 1).expect("a topic");
    let cluster = Arc::new(Cluster::new(&broker.bootstrap_servers(), "t").expect("a prefix"));
    let queue = Arc::new(Queue::default());
    start(cluster, Topic::Ledger, 0, Arc::clone(&queue)).expect("a thread");
    (broker, queue)
}

fn records(count: usize) -> Vec<Record> {
    (0..).take(count).map(|number| record("ACC1", number)).collect()
}

async fn within(answered: oneshot::Receiver<Result<u64, Error>>) -> Result<u64, Error> {
    tokio::time::timeout(LIMIT, answered).await.expect("it is answered in time").expect("it is answered")
}

async fn lands(answered: oneshot::Receiver<Result<u64, Error>>) -> u64 {
    within(answered).await.expect("it lands")
}

#[tokio::test]
async fn a_failed_delivery_is_of_unknown_result_and_later_appends_go_on() {
    let (broker, queue) = started();
    assert_eq!(lands(queue.push(Some(0), records(3))).await, 0);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD];
    broker.request_errors(RDKafkaApiKey::Produce, &refused);
    let failed = within(queue.push(Some(3), records(2))).await;
    assert!(matches!(failed, Err(Error::Unknown { .. })), "{failed:?}");
    // Whoever appends next asks where the partition ends, and stands there.
    assert_eq!(lands(queue.push(None, Vec::new())).await, 3);
    assert_eq!(lands(queue.push(Some(3), records(2))).await, 3);
    assert_eq!(lands(queue.push(None, records(1))).await, 5);
    queue.close();
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_nothing_is_doubled() {
    let (broker, queue) = started();
    assert_eq!(lands(queue.push(Some(0), records(1))).await, 0);
    let lost = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 3];
    broker.request_errors(RDKafkaApiKey::Produce, &lost);
    assert_eq!(lands(queue.push(Some(1), records(4))).await, 1);
    assert_eq!(lands(queue.push(None, Vec::new())).await, 5);
    queue.close();
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_what_waits_is_appended_in_order() {
    let (broker, queue) = started();
    broker.broker_down(1).expect("the broker goes away");
    let mut waiting = Vec::new();
    let refused = loop {
        // The first flight has left the queue; as many as it holds may wait behind it.
        assert!(waiting.len() <= 1 + QUEUE_RECORDS_MAX / APPEND_RECORDS_MAX, "the queue has no bound");
        let mut answered = queue.push(None, records(APPEND_RECORDS_MAX));
        match answered.try_recv() {
            Ok(answer) => break answer,
            Err(_) => waiting.push(answered),
        }
    };
    assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    broker.broker_up(1).expect("the broker comes back");
    let mut next = 0;
    for answered in waiting {
        assert_eq!(lands(answered).await, next);
        next += APPEND_RECORDS_MAX as u64;
    }
    assert_eq!(lands(queue.push(None, records(1))).await, next, "there is room again");
    queue.close();
}

#[tokio::test]
async fn the_largest_flights_one_right_after_another_find_room_in_the_client() {
    let (_broker, queue) = started();
    let large = |number| Record { value: vec![b'1'; VALUE_BYTES_MAX].into(), ..record("ACC1", number) };
    let large: Vec<Record> = (0..).take(APPEND_BYTES_MAX / VALUE_BYTES_MAX).map(large).collect();
    let flights = [records(APPEND_RECORDS_MAX), large];
    let waiting: Vec<_> = flights.iter().cycle().take(8).map(|flight| queue.push(None, flight.clone())).collect();
    let mut next = 0;
    for (answered, flight) in waiting.into_iter().zip(flights.iter().cycle()) {
        assert_eq!(lands(answered).await, next);
        next += flight.len() as u64;
    }
    queue.close();
}

#[tokio::test]
async fn as_much_as_shares_a_flight_is_one_batch_of_which_all_lands_or_nothing() {
    let (broker, queue) = started();
    let value = vec![b'1'; FLIGHT_BYTES / GATHER_RECORDS];
    let entry = |number| Record { value: value.clone().into(), ..record("ACC1", number) };
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD];
    broker.request_errors(RDKafkaApiKey::Produce, &refused);
    let failed = within(queue.push(None, (0..).take(GATHER_RECORDS).map(entry).collect())).await;
    assert!(matches!(failed, Err(Error::Unknown { .. })), "{failed:?}");
    assert_eq!(lands(queue.push(None, Vec::new())).await, 0, "a second batch of the flight has landed");
    queue.close();
}

#[tokio::test]
async fn what_waits_at_the_close_is_appended_and_later_appends_are_refused() {
    let (_broker, queue) = started();
    let waiting: Vec<_> = (0..50).map(|_| queue.push(None, records(2))).collect();
    queue.close();
    for (answered, first) in waiting.into_iter().zip((0..).step_by(2)) {
        assert_eq!(lands(answered).await, first);
    }
    let late = within(queue.push(None, records(1))).await;
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
}

#[tokio::test]
async fn many_who_append_at_once_are_gathered_into_few_flights_each_answered_with_its_own_place() {
    let (_broker, queue) = started();
    // After a flight of many the next is gathered, and whoever comes meanwhile flies with it.
    assert_eq!(lands(queue.push(None, records(100))).await, 0);
    let mut next = 100;
    for _ in 0..20 {
        let answers: Vec<_> = (1..=5).map(|count| queue.push(None, records(count))).collect();
        for (answered, count) in answers.into_iter().zip(1..) {
            assert_eq!(lands(answered).await, next);
            next += count;
        }
    }
    queue.close();
}
