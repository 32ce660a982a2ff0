//! A record as a broker keeps it, and back; knows no connection.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::BaseRecord,
};

use crate::{Error, Headers, Record, Stored, Topic};

/// The headers as they travel.
pub(super) fn headers(headers: &Headers) -> OwnedHeaders {
    let pairs = headers.to_pairs();
    let some = OwnedHeaders::new_with_capacity(pairs.len());
    pairs.iter().fold(some, |all, (key, text)| all.insert(Header { key, value: Some(text) }))
}

/// A record on its way to a partition; `slot` comes back with the word of its delivery.
pub(super) fn outgoing<'a>(
    topic: &'a str,
    partition: i32,
    record: &'a Record,
    slot: usize,
) -> BaseRecord<'a, str, [u8], usize> {
    let outgoing = BaseRecord::with_opaque_to(topic, slot);
    let outgoing = outgoing.partition(partition).payload(&record.value[..]).headers(headers(&record.headers));
    match &record.key {
        Some(key) => outgoing.key(key),
        None => outgoing,
    }
}

/// A record as it came; foreign ones are named by their place.
pub(super) fn incoming(topic: Topic, partition: u32, message: &BorrowedMessage<'_>) -> Result<Arc<Stored>, Error> {
    let offset =
        offset(message).ok_or_else(|| Error::Unreachable { reason: "a record came without its offset".to_owned() })?;
    let foreign = |reason: String| Error::Record { topic, partition, offset, reason };
    let key = match message.key() {
        None => None,
        Some(key) => Some(std::str::from_utf8(key).map_err(|_| foreign("its key is not UTF-8".to_owned()))?.into()),
    };
    let value = message.payload().ok_or_else(|| foreign("it has no value".to_owned()))?;
    let mut pairs = Vec::new();
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        let text = std::str::from_utf8(header.value.unwrap_or_default());
        let text = text.map_err(|_| foreign(format!("header {} is not UTF-8", header.key)))?;
        pairs.push((header.key, text));
    }
    let headers = Headers::from_pairs(pairs).map_err(|malformed| foreign(malformed.to_string()))?;
    let record = Record { key, headers, value: Bytes::copy_from_slice(value) };
    Ok(Arc::new(Stored { offset, record }))
}

/// Where a message stands; a delivery that the client only concludes has no place that it knows.
pub(super) fn offset(message: &BorrowedMessage<'_>) -> Option<u64> {
    u64::try_from(message.offset()).ok()
}
