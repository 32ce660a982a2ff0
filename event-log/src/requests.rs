//! Commands and facts on their way to the writers that answer them, where these are other processes: one partition of
//! requests for each partition of answers. Knows no answer and never removes a request.

use std::sync::Arc;

use uuid::Uuid;

use crate::{BoxFuture, Error, EventLog, Follow, Record, Topic};

/// The requests of a log; which topic is meant is said by the topic that answers it. Clones share it.
#[derive(Clone)]
pub struct Requests {
    log: Arc<dyn EventLog>,
}

impl Requests {
    /// Requests kept in a log of their own, where [`Topic::Ledger`] stands for commands and [`Topic::Market`] for facts.
    pub fn new(log: Arc<dyn EventLog>) -> Requests {
        Requests { log }
    }

    /// Which requests these are, as claims name them.
    pub fn id(&self) -> Uuid {
        self.log.commands_id()
    }

    /// What the requests of a topic are called.
    pub fn name(topic: Topic) -> &'static str {
        match topic {
            Topic::Ledger => "bahi.commands",
            Topic::Market => "bahi.facts",
        }
    }

    /// Puts requests at the end, durably, and answers the offset of the first: the source of its answer.
    ///
    /// # Errors
    /// As [`EventLog::append`]; after [`Error::Unknown`] they may be answered or not.
    pub fn put(&self, topic: Topic, partition: u32, requests: Vec<Record>) -> BoxFuture<'_, Result<u64, Error>> {
        let put = self.log.append(topic, partition, None, requests);
        Box::pin(async move { put.await.map_err(|error| named(error, topic)) })
    }

    /// Follows a partition of requests from an offset on.
    pub fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        self.log.follow(topic, partition, from)
    }

    /// Where the next request of a partition will stand.
    ///
    /// # Errors
    /// When the log cannot be asked.
    pub fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        let tail = self.log.tail(topic, partition);
        Box::pin(async move { tail.await.map_err(|error| named(error, topic)) })
    }
}

/// An error with the name that the requests have, not that of the topic which answers them.
pub fn named(error: Error, topic: Topic) -> Error {
    let name = Requests::name(topic);
    let reason = match error {
        Error::Cut { partition, reason, .. } => format!("{name} partition {partition} has lost records ({reason})"),
        Error::Record { partition, offset, reason, .. } => {
            format!(
                "{name} partition {partition} offset {offset} is not a record of Bahi: {reason}; nobody else may write its topics, see 'A foreign record' in docs/OPERATING.md"
            )
        }
        Error::NoPartition { partition, .. } => format!("{name} has no partition {partition}"),
        error => return error,
    };
    Error::Topics { reason }
}
