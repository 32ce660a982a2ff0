//! The numbers that writers report: names, units, and nothing else.

use crate::outcome::OutcomeResult;
use domain::time::Timestamp;
use event_log::Topic;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::time::Duration;

/// One writer's meters, looked up once.
pub(crate) struct Meters {
    /// Commands that wait (`bahi_queue_commands`).
    pub queue: Gauge,
    /// Entries of a flight (`bahi_batch_entries`).
    pub batch: Histogram,
    /// Seconds to decide, write and fold one command (`bahi_decide_seconds`).
    decide: Histogram,
    /// Seconds until a flight was durable (`bahi_append_seconds`).
    pub append: Histogram,
    /// Commands of the back office (`bahi_due_commands_total`).
    pub due: Counter,
    /// How long the oldest due work has waited (`bahi_due_lag_seconds`).
    due_lag: Gauge,
    /// Times that what was decided was thrown away (`bahi_writer_lost_total`).
    pub lost: Counter,
    /// Entries read that change nothing: of a writer that lost its term, or that came twice (`bahi_entries_dead_total`).
    pub dead: Counter,
    /// 1 when the partition cannot be served (`bahi_writer_halted`).
    pub halted: Gauge,
    /// Commands answered by a new entry, accepted and refused (`bahi_commands_total`).
    accepted: Counter,
    refused: Counter,
}

impl Meters {
    pub(crate) fn new(topic: Topic, partition: u32) -> Self {
        let labels = [("topic", topic.name().to_owned()), ("partition", partition.to_string())];
        let [as_topic, as_partition] = labels.clone();
        let outcome = |word| [as_topic.clone(), as_partition.clone(), ("outcome", String::from(word))];
        let meters = Self {
            queue: gauge!("bahi_queue_commands", &labels),
            batch: histogram!("bahi_batch_entries", &labels),
            decide: histogram!("bahi_decide_seconds", &labels),
            append: histogram!("bahi_append_seconds", &labels),
            due: counter!("bahi_due_commands_total", &labels),
            due_lag: gauge!("bahi_due_lag_seconds", &labels),
            lost: counter!("bahi_writer_lost_total", &labels),
            dead: counter!("bahi_entries_dead_total", &labels),
            halted: gauge!("bahi_writer_halted", &labels),
            accepted: counter!("bahi_commands_total", &outcome("accepted")),
            refused: counter!("bahi_commands_total", &outcome("refused")),
        };
        // What an earlier writer of this partition left here is over.
        meters.halted.set(0.0);
        meters
    }

    /// One command has an entry of its own.
    pub(crate) fn answered(&self, result: &OutcomeResult) {
        match result {
            OutcomeResult::Accepted { .. } => self.accepted.increment(1),
            OutcomeResult::Refused { .. } => self.refused.increment(1),
        }
    }

    /// So many commands took so long together.
    pub(crate) fn decide(&self, took: Duration, commands: usize) {
        self.decide.record(took.div_f64(crate::writer::count(commands.max(1))).as_secs_f64());
    }

    /// When the oldest due work fell due; work that is due at once has no time and no lag.
    pub(crate) fn due_lag(&self, next: Option<Timestamp>, now: Timestamp) {
        let since = next.filter(|at| at.micros() > 0).map_or(0, |at| now.micros().saturating_sub(at.micros()));
        self.due_lag.set(Duration::from_micros(since.max(0).unsigned_abs()).as_secs_f64());
    }
}

/// A partition that is written elsewhere now has nothing that waits here.
impl Drop for Meters {
    fn drop(&mut self) {
        self.queue.set(0.0);
        self.due_lag.set(0.0);
    }
}
