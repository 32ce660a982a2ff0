//! The one source of time for writers, back office and simulations; tests drive it.

use domain::time::Timestamp;
use event_log::BoxFuture;
use std::time::Duration;

/// The longest sleep before the clock is read again, so that a step of the system's clock is noticed.
const SLEEP_MS_MAX: i64 = 1_000;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// Now; may stand still or step back, which writers even out.
    fn now(&self) -> Timestamp;

    /// Resolves once `at` may have come; too early is fine, as the caller asks [`Clock::now`] again.
    ///
    /// The default sleeps in real time. A clock that a test moves resolves when it is moved.
    fn reach(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let left_ms = (at.micros().saturating_sub(self.now().micros()) / 1_000 + 1).clamp(1, SLEEP_MS_MAX);
        Box::pin(tokio::time::sleep(Duration::from_millis(left_ms.unsigned_abs())))
    }
}
