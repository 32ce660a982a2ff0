//! One event as stored: `{"type","v","effective_at","data"}`; knows neither entry nor log.

use crate::{
    borrowed::Text,
    error::DecodeError,
    versioned::{self, Versioned},
    write,
};
use domain::{
    event::{Event, EventData},
    market::{MarketEvent, MarketEventData},
    time::Timestamp,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, Error, MapAccess},
};
use serde_json::value::RawValue;
use std::{fmt, marker::PhantomData};

/// An event of an account or of the market.
pub(crate) trait Stored: Sized {
    type Data: Versioned;
    fn new(effective_at: Timestamp, data: Self::Data) -> Self;
    fn effective_at(&self) -> Timestamp;
    fn data(&self) -> &Self::Data;
}

macro_rules! stored {
    ($event:ident, $data:ty) => {
        impl Stored for $event {
            type Data = $data;
            fn new(effective_at: Timestamp, data: $data) -> Self {
                Self { effective_at, data }
            }
            fn effective_at(&self) -> Timestamp {
                self.effective_at
            }
            fn data(&self) -> &$data {
                &self.data
            }
        }
    };
}
stored!(Event, EventData);
stored!(MarketEvent, MarketEventData);

/// Reads one event of an account.
///
/// # Errors
/// Names the field, type or version that this release does not read.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    serde_json::from_slice(bytes).map(|OneEvent(event)| event).map_err(DecodeError::malformed("an event"))
}

/// Reads one event of the market.
///
/// # Errors
/// Names the field, type or version that this release does not read.
pub fn decode_market_event(bytes: &[u8]) -> Result<MarketEvent, DecodeError> {
    serde_json::from_slice(bytes).map(|OneEvent(event)| event).map_err(DecodeError::malformed("a market event"))
}

/// Writes one event of an account in its canonical form, without a line feed.
pub fn encode_event(event: &Event, out: &mut Vec<u8>) {
    encode(event, out);
}

/// Writes one event of the market in its canonical form, without a line feed.
pub fn encode_market_event(event: &MarketEvent, out: &mut Vec<u8>) {
    encode(event, out);
}

/// The event types, joined by commas: the `bahi-kinds` header.
pub fn kinds(events: &[Event]) -> String {
    join(events)
}

/// The market event types, joined by commas: the `bahi-kinds` header.
pub fn market_kinds(events: &[MarketEvent]) -> String {
    join(events)
}

fn join(events: &[impl Stored]) -> String {
    let mut joined = String::with_capacity(24 * events.len());
    for event in events {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(event.data().name());
    }
    joined
}

pub(crate) fn encode(event: &impl Stored, out: &mut Vec<u8>) {
    write::raw(out, "{\"type\":\"");
    write::raw(out, event.data().name());
    write::raw(out, "\",\"v\":");
    write::number(out, event.data().version());
    write::raw(out, ",\"effective_at\":");
    write::instant(out, event.effective_at());
    write::raw(out, ",\"data\":");
    event.data().write(&mut serde_json::Serializer::new(&mut *out)).expect("a buffer takes everything");
    out.push(b'}');
}

pub(crate) fn encode_all(events: &[impl Stored], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode(event, out);
    }
    out.push(b']');
}

/// A list of events.
pub(crate) fn list<'de, E: Stored, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<E>, D::Error> {
    struct List<E>(PhantomData<E>);
    impl<'de, E: Stored> de::Visitor<'de> for List<E> {
        type Value = Vec<E>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of events")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<E>, A::Error> {
            let mut events = Vec::new();
            while let Some(OneEvent(event)) = seq.next_element()? {
                events.push(event);
            }
            Ok(events)
        }
    }
    deserializer.deserialize_seq(List(PhantomData))
}

struct OneEvent<E>(E);

impl<'de, E: Stored> Deserialize<'de> for OneEvent<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &["type", "v", "effective_at", "data"];
        deserializer.deserialize_struct("event", FIELDS, Visitor(PhantomData)).map(OneEvent)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Type,
    V,
    EffectiveAt,
    Data,
}

struct Visitor<E>(PhantomData<E>);

impl<'de, E: Stored> de::Visitor<'de> for Visitor<E> {
    type Value = E;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<E, A::Error> {
        let (mut name, mut version, mut effective_at): (Option<Text<'de>>, Option<u32>, Option<Timestamp>) =
            (None, None, None);
        let (mut data, mut waiting): (Option<E::Data>, Option<&'de RawValue>) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Type => once(&mut name, "type", map.next_value()?)?,
                Field::V => once(&mut version, "v", map.next_value()?)?,
                Field::EffectiveAt => once(&mut effective_at, "effective_at", map.next_value()?)?,
                Field::Data if data.is_some() || waiting.is_some() => return Err(Error::duplicate_field("data")),
                Field::Data => match (&name, version) {
                    (Some(name), Some(version)) => {
                        let (name, current) = versioned::find::<E::Data>(&name.0, version).map_err(Error::custom)?;
                        if version == current {
                            data = Some(map.next_value_seed(Payload(name, PhantomData))?);
                        } else {
                            waiting = Some(map.next_value()?);
                        }
                    }
                    // JSON gives fields no order: what the payload is may still come.
                    _ => waiting = Some(map.next_value()?),
                },
            }
        }
        let name = name.ok_or_else(|| Error::missing_field("type"))?;
        let version = version.ok_or_else(|| Error::missing_field("v"))?;
        let effective_at = effective_at.ok_or_else(|| Error::missing_field("effective_at"))?;
        let data = match (data, waiting) {
            (Some(data), _) => data,
            (None, Some(raw)) => versioned::read(&name.0, version, raw).map_err(Error::custom)?,
            (None, None) => return Err(Error::missing_field("data")),
        };
        Ok(E::new(effective_at, data))
    }
}

fn once<T, E: de::Error>(slot: &mut Option<T>, field: &'static str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(field)),
    }
}

/// A payload of the current version of a listed name.
struct Payload<T>(&'static str, PhantomData<T>);

impl<'de, T: Versioned> DeserializeSeed<'de> for Payload<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(self.0, deserializer).expect("a name of the list")
    }
}
