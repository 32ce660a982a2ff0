//! What has a stored name and a version: event types and command kinds, read alike; knows no envelope.

use crate::{error::DecodeError, upcast};
use domain::{
    command::Command,
    event::EventData,
    market::{Fact, MarketEventData},
};
use serde::{Deserializer, Serializer};
use serde_json::value::RawValue;

/// A closed list of names with their current versions.
pub(crate) trait Versioned: Sized {
    /// What a name in the list is called in errors.
    const WHAT: &'static str;
    /// Name and current version.
    const NAMES: &'static [(&'static str, u32)];
    /// Reads the current version of a name; `None` for one that is not in the list.
    fn read<'de, D: Deserializer<'de>>(name: &str, deserializer: D) -> Option<Result<Self, D::Error>>;
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

macro_rules! versioned {
    ($type:ty, $what:literal, $names:ident, $read:ident, $name:ident, $write:ident) => {
        impl Versioned for $type {
            const WHAT: &'static str = $what;
            const NAMES: &'static [(&'static str, u32)] = Self::$names;
            fn read<'de, D: Deserializer<'de>>(name: &str, deserializer: D) -> Option<Result<Self, D::Error>> {
                Self::$read(name, deserializer)
            }
            fn name(&self) -> &'static str {
                self.$name()
            }
            fn version(&self) -> u32 {
                self.version()
            }
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.$write(serializer)
            }
        }
    };
}
versioned!(EventData, "event type", TYPES, deserialize_payload, type_name, serialize_payload);
versioned!(MarketEventData, "market event type", TYPES, deserialize_payload, type_name, serialize_payload);
versioned!(Command, "command kind", KINDS, deserialize_body, kind, serialize_body);
versioned!(Fact, "fact kind", KINDS, deserialize_body, kind, serialize_body);

/// The listed name and its current version.
///
/// # Errors
/// `Unknown` for a name that is not listed, `Newer` for a version above the current one.
pub(crate) fn find<T: Versioned>(name: &str, version: u32) -> Result<(&'static str, u32), DecodeError> {
    match T::NAMES.iter().find(|(known, _)| *known == name) {
        None => Err(DecodeError::Unknown { what: T::WHAT, name: name.into(), version }),
        Some((_, current)) if version > *current => {
            Err(DecodeError::Newer { what: T::WHAT, name: name.into(), version, current: *current })
        }
        Some(found) => Ok(*found),
    }
}

/// Reads any version of a name, older ones through the upcasters.
pub(crate) fn read<T: Versioned>(name: &str, version: u32, stored: &RawValue) -> Result<T, DecodeError> {
    let (name, current) = find::<T>(name, version)?;
    if version == current {
        let read = T::read(name, &mut serde_json::Deserializer::from_str(stored.get()));
        return read.expect("a name of the list").map_err(DecodeError::malformed(T::WHAT));
    }
    let old = serde_json::from_str(stored.get()).map_err(DecodeError::malformed(T::WHAT))?;
    let value = upcast::to_current(T::WHAT, name, version, current, old)?;
    T::read(name, value).expect("a name of the list").map_err(DecodeError::malformed(T::WHAT))
}
