//! Waiting for a fact, with a limit; the only place in the stories that lets time pass.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The longest a story waits for anything: a debug build on two busy cores needs a few seconds at most.
pub const LIMIT: Duration = Duration::from_secs(30);

/// How long between two looks: short, so that a story is as fast as the product.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and fails with what was waited for when [`LIMIT`] has passed.
///
/// # Panics
/// When the limit has passed.
#[track_caller]
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_at_most(LIMIT, what, look)
}

/// As [`wait_until`], with a limit of its own.
///
/// # Panics
/// When the limit has passed.
#[track_caller]
pub fn wait_at_most<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} for {what}");
        thread::sleep(LOOK_EVERY);
    }
}
