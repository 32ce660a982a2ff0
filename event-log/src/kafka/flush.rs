//! Sends at once what a producer has gathered; the only unsafe call, and the reason for it.
//!
//! The client's own `flush` waits in slices of 100 ms whenever a delivery is outstanding, and a linger of a
//! millisecond costs that millisecond at every flight. The native call sends what is gathered and returns when the
//! last delivery was heard of.

use std::time::Duration;

use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

/// Returns when nothing is outstanding, or after `limit`; deliveries are heard of by the producer's own thread.
pub(super) fn flush<C: ProducerContext + 'static>(producer: &ThreadedProducer<C>, limit: Duration) {
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    #[expect(unsafe_code, reason = "no safe function of the client flushes without waiting in slices")]
    // SAFETY: the pointer is that of a producer that lives at least as long as this borrow, and the native function
    // may be called from any thread while others use the producer.
    let ended = unsafe { rdkafka::bindings::rd_kafka_flush(producer.client().native_ptr(), limit_ms) };
    tracing::trace!(?ended, "flushed");
}
