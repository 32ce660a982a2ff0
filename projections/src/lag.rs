//! How far behind something is in time, found by asking now and then where the end is; knows no clock of its own.

use crate::view::View;
use event_log::Topic;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// How often a partition's views say how far behind the log they are.
const LAG_PERIOD: Duration = Duration::from_secs(1);

/// Says when they do. Each partition has its own moment: brokers are not asked about all of them at once.
pub(crate) fn period(partition: u32, partitions: u32) -> Interval {
    let mut period = interval_at(tokio::time::Instant::now() + LAG_PERIOD * partition / partitions.max(1), LAG_PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    period
}

/// Most ends that are remembered; with more the oldest say enough.
const ENDS_MAX: usize = 600;

/// Ends that were seen and are not reached yet, as far as anybody said, with when they were seen.
#[derive(Debug)]
pub struct Lag<E> {
    ends: VecDeque<(Instant, E)>,
}

impl<E> Default for Lag<E> {
    fn default() -> Self {
        Self { ends: VecDeque::new() }
    }
}

impl<E: PartialEq> Lag<E> {
    /// Remembers that the end was there at this time.
    pub fn see(&mut self, at: Instant, end: E) {
        if self.ends.len() < ENDS_MAX && self.ends.back().is_none_or(|(_, seen)| *seen != end) {
            self.ends.push_back((at, end));
        }
    }

    /// How long ago the oldest end was seen that is not reached; zero if all are.
    pub fn behind(&mut self, now: Instant, is_reached: impl Fn(&E) -> bool) -> Duration {
        while self.ends.pop_front_if(|(_, end)| is_reached(end)).is_some() {}
        self.ends.front().map_or(Duration::ZERO, |(seen, _)| now.saturating_duration_since(*seen))
    }

    /// Remembers nothing any more.
    pub fn forget(&mut self) {
        self.ends.clear();
    }
}

/// What `/metrics` tells of the views of a partition.
pub(crate) struct Gauges(Vec<(View, metrics::Gauge, metrics::Gauge)>);

impl Gauges {
    pub fn new(topic: Topic, partition: u32) -> Self {
        let of = |view: &View| {
            let labels = [("view", view.name().to_owned()), ("partition", partition.to_string())];
            let entries = metrics::gauge!("bahi_view_lag_entries", &labels);
            (*view, entries, metrics::gauge!("bahi_view_lag_seconds", &labels))
        };
        Self(View::ALL.iter().filter(|view| view.topic() == topic).map(of).collect())
    }

    /// Tells of each view how many records of the log it does not have, and for how long it has not had all.
    pub fn tell(&self, mut lag: impl FnMut(View) -> (u64, Duration)) {
        for (view, entries, seconds) in &self.0 {
            let (behind, late) = lag(*view);
            entries.set(behind as f64);
            seconds.set(late.as_secs_f64());
        }
    }

    pub fn tell_none(&self) {
        self.tell(|_| (0, Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_not_reached_gets_older_until_it_is() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let behind = |lag: &mut Lag<u64>, seconds: u32, at: u64| lag.behind(start + SECOND * seconds, |end| at >= *end);
        assert_eq!(behind(&mut lag, 0, 0), Duration::ZERO, "nothing was seen");
        lag.see(start, 10);
        lag.see(start + SECOND, 10);
        lag.see(start + SECOND * 2, 12);
        assert_eq!(behind(&mut lag, 5, 9), SECOND * 5);
        assert_eq!(behind(&mut lag, 6, 10), SECOND * 4, "10 was reached, 12 was there at the second second");
        assert_eq!(behind(&mut lag, 7, 12), Duration::ZERO);
        lag.see(start + SECOND * 8, 13);
        lag.forget();
        assert_eq!(behind(&mut lag, 9, 0), Duration::ZERO);
    }

    #[test]
    fn the_oldest_end_stays_when_there_are_many() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        for end in 1..2_000_u64 {
            lag.see(start + SECOND * u32::try_from(end).expect("small"), end);
        }
        assert_eq!(lag.behind(start + SECOND * 3_000, |_| false), SECOND * 2_999);
    }
}
