//! Days and times in India, Monday to Friday.

use domain::time::Timestamp;

/// Days since 1970 in India.
pub type Day = i64;

/// 15:30, in seconds of the day.
pub const CLOSE: i64 = 15 * 3600 + 30 * 60;

const IST_SECONDS: i64 = 19_800;
const DAY_SECONDS: i64 = 86_400;

fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000) + IST_SECONDS
}
pub fn day_of(at: Timestamp) -> Day {
    seconds(at).div_euclid(DAY_SECONDS)
}
/// Seconds of the day.
pub fn time_of(at: Timestamp) -> i64 {
    seconds(at).rem_euclid(DAY_SECONDS)
}
/// 1970-01-01 was a Thursday.
fn weekday_from(mut day: Day) -> Day {
    while (day + 3).rem_euclid(7) >= 5 {
        day += 1;
    }
    day
}
/// T+1.
pub fn settles_on(trade: Day) -> Day {
    weekday_from(trade + 1)
}
/// Today's if it is not over, else the next.
pub fn session_of(now: Timestamp) -> Day {
    weekday_from(day_of(now) + i64::from(time_of(now) >= CLOSE))
}
pub fn has_passed_close(day: Day, now: Timestamp) -> bool {
    day < day_of(now) || day == day_of(now) && time_of(now) >= CLOSE
}
