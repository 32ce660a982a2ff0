//! The real clock, the only place that reads it for the ledger.

use domain::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Time as the machine has it, in microseconds.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The machine's clock, as the ledger's parts ask for it.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl commands::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}
