//! Query parameters: each named in a table, checked by it, unknown ones refused; knows no list.

use crate::{
    field::{self, Field, Kind},
    problem::{Fault, Problem},
};
use axum::{extract, http::Uri};
use projections::{AsOf, Moment, Page, page::LIMIT_MAX};
use serde_json::Value;
use std::{collections::BTreeMap, str::FromStr};

/// How many items.
pub const LIMIT: Field = Field::may("limit", Kind::Whole(1, LIMIT_MAX as i64), "How many items; 100 unless given");
/// Where the page before ended.
pub const CURSOR: Field = Field::may("cursor", Kind::Text(field::CURSOR), "The `next_cursor` of the page before");
/// An offset in the account's partition, inclusive.
pub const AS_OF_OFFSET: Field = Field::may(
    "as_of_offset",
    Kind::Whole(0, field::SEQ_MAX),
    "As it was after the entry at this offset of the account's partition",
);
/// A recorded time, inclusive.
pub const AS_OF: Field =
    Field::may("as_of", Kind::Text(field::INSTANT), "As it was recorded at this time; not beside as_of_offset");
/// A time in the world, inclusive.
pub const EFFECTIVE_AT: Field = Field::may(
    "effective_at",
    Kind::Text(field::INSTANT),
    "By what had happened at this time, whenever it was recorded, valued with prices of that day or earlier; \
     beside as_of or as_of_offset, of what was recorded by then",
);
/// A day.
pub const FROM: Field = Field::may("from", Kind::Text(field::DATE), "On this day or later");
/// A day.
pub const TO: Field = Field::may("to", Kind::Text(field::DATE), "On this day or earlier");

/// Parameters that passed their table.
#[derive(Debug, Default)]
pub struct Query(BTreeMap<&'static str, String>);

impl Query {
    /// Reads an address's parameters.
    ///
    /// # Errors
    /// 400 with every parameter that is unknown, given twice, or not as its table says.
    pub fn read(uri: &Uri, fields: &'static [Field]) -> Result<Self, Problem> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(Self::default());
        }
        let pairs = extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::field("invalid_query", "#query", "must be percent-encoded UTF-8"))?;
        let (mut read, mut faults) = (BTreeMap::new(), Vec::new());
        let fault = |name: &str, detail| {
            let name: String = name.chars().take(64).collect();
            Fault { pointer: format!("#{name}"), detail }
        };
        for (name, text) in pairs.0 {
            let Some(field) = fields.iter().find(|field| field.name == name) else {
                faults.push(fault(&name, "is not a parameter of this route".into()));
                continue;
            };
            let value = match field.kind {
                Kind::Whole(..) => text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from),
                Kind::Flag => text.parse::<bool>().map_or_else(|_| Value::from(text.as_str()), Value::from),
                _ => Value::from(text.as_str()),
            };
            if let Err(detail) = field::check(field.kind, &value) {
                faults.push(fault(field.name, detail));
            } else if read.insert(field.name, text).is_some() {
                faults.push(fault(field.name, "is given twice".into()));
            }
        }
        match faults.is_empty() {
            true => Ok(Self(read)),
            false => Err(Problem::invalid("invalid_query", faults)),
        }
    }

    /// A parameter's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter, parsed; its table has checked it.
    pub fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// A parameter that names a variant, as JSON does.
    pub fn named<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(Value::from(self.text(name)?)).ok()
    }

    /// Which part of a list.
    pub fn page(&self) -> Page<'_> {
        Page { limit: self.get("limit"), cursor: self.text("cursor") }
    }

    /// Which moment, in both times.
    ///
    /// # Errors
    /// 400 when two recorded ones are given.
    pub fn moment(&self) -> Result<Moment, Problem> {
        let recorded = match (self.get("as_of_offset"), self.get("as_of")) {
            (Some(_), Some(_)) => {
                return Err(Problem::field("invalid_query", "#as_of", "does not go with as_of_offset"));
            }
            (Some(offset), None) => Some(AsOf::Offset(offset)),
            (None, time) => time.map(AsOf::Time),
        };
        Ok(Moment { recorded, effective_at: self.get("effective_at") })
    }
}
