//! What keeps the writers from starting or going on, named by what can be done about it.

use event_log::{Topic, rule::Corruption};

/// Why writing does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read or written: see what it says.
    #[error("the log of {topic}/{partition} fails: {source}")]
    Log {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: u32,
        /// What the log says.
        #[source]
        source: event_log::Error,
    },
    /// The partition contradicts the ledger rule: restore it from a backup.
    #[error("{topic}/{partition} is corrupt: {source}")]
    Corrupt {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: u32,
        /// What does not fit.
        #[source]
        source: Corruption,
    },
    /// A live entry cannot be read or does not follow its predecessor: use the release that wrote it, or restore a backup.
    #[error("the live entry at {topic}/{partition}/{offset} cannot be folded: {reason}")]
    Entry {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: u32,
        /// Where.
        offset: u64,
        /// Why.
        reason: String,
    },
    /// An entry was decided under a policy that is not at hand: give it.
    #[error("the entry at {topic}/{partition}/{offset} was decided under policy {version}, which is not at hand")]
    Policy {
        /// Which topic.
        topic: Topic,
        /// Which partition.
        partition: u32,
        /// Where.
        offset: u64,
        /// The policy's version.
        version: Box<str>,
    },
    /// The requests of a partition cannot be answered in order: what to do is said.
    #[error("{reason}")]
    Requests {
        /// Which topic answers them.
        topic: Topic,
        /// Which partition.
        partition: u32,
        /// Why, and what to do.
        reason: String,
    },
    /// A setting is out of range.
    #[error("{0}")]
    Config(&'static str),
}
