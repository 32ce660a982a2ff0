//! The real clock, the only place that reads it for the ledger.

use domain::time::Timestamp;
use event_log::BoxFuture;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// A clock that starts right and then runs so many times as fast, so that days pass while something is measured.
#[derive(Debug, Clone, Copy)]
pub struct Hurried {
    started_at: Timestamp,
    since: Instant,
    speed: u32,
}

impl Hurried {
    /// From now on.
    pub fn new(speed: u32) -> Hurried {
        Hurried { started_at: now(), since: Instant::now(), speed: speed.max(1) }
    }
}

impl commands::Clock for Hurried {
    fn now(&self) -> Timestamp {
        let passed = self.since.elapsed().as_micros().saturating_mul(self.speed.into());
        self.started_at.plus_micros(i64::try_from(passed).unwrap_or(i64::MAX))
    }
    fn reach(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let left = at.micros().saturating_sub(self.now().micros()).max(0).unsigned_abs();
        // Too early is fine, and a millisecond more keeps this from asking without end.
        let wait = Duration::from_micros(left / u64::from(self.speed)) + Duration::from_millis(1);
        Box::pin(tokio::time::sleep(wait.min(Duration::from_secs(1))))
    }
}
