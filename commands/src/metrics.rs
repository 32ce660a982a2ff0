//! The numbers that writers report: names, units, and nothing else.

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
    /// Times that what was decided was thrown away (`bahi_writer_lost_total`).
    pub lost: Counter,
    /// 1 when the partition cannot be served (`bahi_writer_halted`).
    pub halted: Gauge,
}

impl Meters {
    pub(crate) fn new(topic: Topic, partition: u32) -> Self {
        let labels = [("topic", topic.name().to_owned()), ("partition", partition.to_string())];
        Self {
            queue: gauge!("bahi_queue_commands", &labels),
            batch: histogram!("bahi_batch_entries", &labels),
            decide: histogram!("bahi_decide_seconds", &labels),
            append: histogram!("bahi_append_seconds", &labels),
            due: counter!("bahi_due_commands_total", &labels),
            lost: counter!("bahi_writer_lost_total", &labels),
            halted: gauge!("bahi_writer_halted", &labels),
        }
    }

    /// So many commands took so long together.
    pub(crate) fn decide(&self, took: Duration, commands: usize) {
        self.decide.record(took.div_f64(crate::writer::count(commands.max(1))).as_secs_f64());
    }
}
