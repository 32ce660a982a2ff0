//! Every setting of the broker's client that matters, named and explained; the only place that sets any.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX};

/// How long an append may take before its result is called unknown. Shorter than a claim's time-out has to be, and
/// long enough for a broker that restarts.
pub(super) const DELIVERY_WAIT: Duration = Duration::from_secs(10);
/// How long a question to a broker may take: its metadata, an end, a page of records.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// After how long without a word a writer's partitions are given to others.
const SESSION_WAIT: Duration = Duration::from_secs(6);
/// The most bytes of one batch on its way to a broker; one larger record goes alone. A flight is one batch wherever it
/// can be: while a first batch is under way, and another is ready, the client asks itself without a rest whether that
/// may go, which it may not before the first is answered (of a producer that neither doubles nor reorders).
pub(super) const BATCH_BYTES: usize = 3 << 20;
/// The most bytes of one request: the largest record of the port, its key, its headers, and what a batch adds.
pub(super) const REQUEST_BYTES_MAX: usize = 4 << 20;
/// How many flights a producer has room for: the one that is sent, and the one before it, whose last records the client
/// counts for a moment after they are known to have landed. A full queue would be a flight of unknown result.
const FLIGHTS: usize = 2;
/// The most requests under way to a broker: the most with which the client keeps records in order.
const REQUESTS_UNDER_WAY: usize = 5;
/// How soon a lost answer is asked for again, within the time that a delivery has, and after many tries.
const RETRY_MS: u16 = 20;
const RETRY_MS_MAX: u16 = 1000;
/// The most bytes that a client fetches ahead of its reader.
const AHEAD_KIB: usize = 32 << 10;

/// The most bytes fetched at once by one who wants a single record; the batch that holds it comes whole all the same.
const SINGLE_BYTES: usize = 64 << 10;
/// How long a broker may wait before it says that there is nothing: one who wants a record that is there never waits.
const SINGLE_WAIT_MS: u16 = 5;

/// What all clients have in common.
fn common(brokers: &str, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config.set("client.id", format!("bahi-{name}"));
    // A broker that restarts is found again soon: the default waits up to ten seconds between two tries.
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
    config.set("socket.keepalive.enable", "true");
    // A broker that fell silent without a word is left after this, not after a minute.
    config.set("socket.timeout.ms", ANSWER_WAIT.as_millis().to_string());
    config.set("socket.connection.setup.timeout.ms", "5000");
    // A topic that is asked for by mistake is not made.
    config.set("allow.auto.create.topics", "false");
    config
}

/// A producer that appends entries in flights: one on its way, the next is gathered meanwhile.
pub(super) fn appending(brokers: &str) -> ClientConfig {
    let mut config = common(brokers, "append");
    // Durable on every replica that has to have it, before it counts as delivered.
    config.set("acks", "all");
    // Retries neither double nor reorder within one producer. What a producer leaves behind when it is replaced is
    // the ledger rule's to judge.
    config.set("enable.idempotence", "true");
    // Also called queue.buffering.max.ms. Far longer than a flight takes to be filled: it is flushed, never waited for.
    config.set("linger.ms", "100");
    // What waits does so in the queue of its partition, where it is refused as busy; the client's own queue, a gigabyte
    // for each partition unless told otherwise, only has to take in what is sent.
    config.set("queue.buffering.max.messages", (FLIGHTS * APPEND_RECORDS_MAX).to_string());
    config.set("queue.buffering.max.kbytes", (FLIGHTS * APPEND_BYTES_MAX).div_ceil(1 << 10).to_string());
    // A batch is made when the one before it has left for the broker, so that batches are full when a broker is slow.
    config.set("queue.buffering.backpressure.threshold", "1");
    config.set("batch.size", BATCH_BYTES.to_string());
    config.set("batch.num.messages", APPEND_RECORDS_MAX.to_string());
    config.set("message.max.bytes", REQUEST_BYTES_MAX.to_string());
    config.set("max.in.flight.requests.per.connection", REQUESTS_UNDER_WAY.to_string());
    // Time ends a delivery, not a number of tries; a broker that waits for its copies waits no longer than we do.
    config.set("message.timeout.ms", DELIVERY_WAIT.as_millis().to_string());
    config.set("message.send.max.retries", i32::MAX.to_string());
    config.set("request.timeout.ms", DELIVERY_WAIT.as_millis().to_string());
    config.set("retry.backoff.ms", RETRY_MS.to_string());
    config.set("retry.backoff.max.ms", RETRY_MS_MAX.to_string());
    // The partition is computed here (murmur2 of the key), so that both adapters agree; the client never chooses.
    config.set("partitioner", "murmur2");
    config
}

/// A consumer that reads where it is told to and belongs to no group.
pub(super) fn reading(brokers: &str, name: &str) -> ClientConfig {
    let mut config = common(brokers, name);
    // The client asks for a name; no offset is ever committed under it, for readers keep their own.
    config.set("group.id", format!("bahi-{name}"));
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    // An offset that is not there means that the topic was cut or made anew: never start elsewhere in silence.
    config.set("auto.offset.reset", "error");
    // What is appended without a transaction is read as soon as it is durable, whatever transaction of somebody else is
    // open in the topic.
    config.set("isolation.level", "read_uncommitted");
    // A batch that was damaged on its way is an error, not records that are missing.
    config.set("check.crcs", "true");
    // What is there is sent at once.
    config.set("fetch.min.bytes", "1");
    config.set("fetch.wait.max.ms", "100");
    // With the default a consumer that was full pauses for a second.
    config.set("fetch.queue.backoff.ms", "1");
    config.set("fetch.error.backoff.ms", "50");
    config.set("fetch.message.max.bytes", REQUEST_BYTES_MAX.to_string());
    config.set("queued.max.messages.kbytes", AHEAD_KIB.to_string());
    config
}

/// A consumer that reads few records wherever they are, and nothing ahead of them.
pub(super) fn reading_single(brokers: &str) -> ClientConfig {
    let mut config = reading(brokers, "single");
    // Nothing is fetched while something is there to be given.
    config.set("queued.min.messages", "1");
    config.set("fetch.message.max.bytes", SINGLE_BYTES.to_string());
    // The connection is free again soon when the last of what was wanted was also the last of the partition.
    config.set("fetch.wait.max.ms", SINGLE_WAIT_MS.to_string());
    config
}

/// A consumer that only learns which partitions it is given.
pub(super) fn grouping(brokers: &str, group: &str) -> ClientConfig {
    let mut config = common(brokers, "group");
    config.set("group.id", group);
    // The protocol that every broker and this client speak; the newer one is not asked for by this client's release.
    config.set("group.protocol", "classic");
    // Those who keep their partitions go on while others come and go.
    config.set("partition.assignment.strategy", "cooperative-sticky");
    // A member that died is missed after this; a shorter time takes a busy one for dead.
    config.set("session.timeout.ms", SESSION_WAIT.as_millis().to_string());
    config.set("heartbeat.interval.ms", "1000");
    // Nothing is read here, so nothing is ever done with.
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "latest");
    config
}

/// A client that asks about topics and makes them.
pub(super) fn administering(brokers: &str) -> ClientConfig {
    common(brokers, "topics")
}

#[cfg(test)]
mod tests;
