//! Older versions of events and commands, brought step by step to the one read now; knows no version that was never written.
//!
//! A step reads version n and gives version n + 1. Steps are never edited once a release has
//! written what they read, and they look nothing up: an old event holds all that its new form says.

use crate::error::DecodeError;
use domain::money::Money;
use serde_json::{Map, Value};

/// An event's data or a command's body.
pub type Payload = Map<String, Value>;

/// One step of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The event type or command kind.
    pub name: &'static str,
    /// The version it reads; it gives the next.
    pub from: u32,
    /// The payload of the next version, or in words why there is none.
    pub step: fn(Payload) -> Result<Payload, Box<str>>,
}

/// Every step, by name and version.
pub const STEPS: &[Step] = &[Step { name: "cash_deposited", from: 0, step: cash_deposited_0 }];

/// Version 0 was written before the first release, when amounts were counted in paise:
/// `{"paise": 12345}` is `{"amount": "123.45"}`.
fn cash_deposited_0(mut old: Payload) -> Result<Payload, Box<str>> {
    let paise = old.remove("paise").ok_or("missing field `paise`")?;
    let paise = paise.as_i64().ok_or("`paise` must be a whole number")?;
    if let Some(field) = old.keys().next() {
        return Err(format!("unknown field `{field}`").into());
    }
    old.insert("amount".into(), Money::from_smallest(paise).to_string().into());
    Ok(old)
}

/// A payload in the version read now.
///
/// # Errors
/// `Upcast` when a step is missing (no release wrote that version) or cannot read its input.
pub(crate) fn to_current(
    what: &'static str,
    name: &str,
    from: u32,
    current: u32,
    stored: Value,
) -> Result<Value, DecodeError> {
    let fail = |version, problem: Box<str>| DecodeError::Upcast { what, name: name.into(), version, problem };
    let Value::Object(mut payload) = stored else {
        return Err(fail(from, "must be an object".into()));
    };
    for version in from..current {
        let step = STEPS.iter().find(|step| step.name == name && step.from == version);
        let step = step.ok_or_else(|| fail(version, "no release wrote this version".into()))?;
        payload = (step.step)(payload).map_err(|problem| fail(version, problem))?;
    }
    Ok(Value::Object(payload))
}
