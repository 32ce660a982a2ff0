//! One topic's way from the desk to its writers and back: hands over, waits within a limit, and reads the
//! outcomes of known keys from the log.

use crate::{
    courier::Courier,
    known::{Key, Known, Outcomes},
    outcome::{Answer, Answered, Outcome},
    queue::{Prepared, Queue, Reply},
};
use event_log::{EventLog, Stored, Topic};
use event_schemas::DecodeError;
use futures::future::join_all;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// After how long a caller that was turned away may try again.
const RETRY_AFTER_S: u32 = 1;
/// What a caller is told that was turned away.
pub(crate) const BUSY: Answer = Answer::Busy { retry_after_s: RETRY_AFTER_S };

/// How commands reach the writer of their partition.
pub(crate) enum Way<I> {
    /// By its queue: it is in this process.
    Here(Vec<Queue<I>>),
    /// Through the log of requests.
    Through(Courier<I>),
}

impl<I> Way<I> {
    /// Hands over commands in order, and waits for the replies; none where the writer gave no word.
    async fn submit(&self, partition: u32, commands: Vec<Prepared<I>>) -> Vec<Option<Reply>> {
        let count = commands.len();
        let queues = match self {
            Self::Here(queues) => queues,
            Self::Through(courier) => return courier.submit(partition, commands).await,
        };
        match queues[partition as usize].push_all(commands) {
            Some(replies) => match replies.await {
                Ok(replies) => replies.into_iter().map(Some).collect(),
                Err(_) => (0..count).map(|_| None).collect(),
            },
            None => (0..count).map(|_| Some(Reply::Busy)).collect(),
        }
    }

    async fn submit_one(&self, partition: u32, command: Prepared<I>) -> Option<Reply> {
        match self {
            Self::Here(queues) => match queues[partition as usize].push(command) {
                Some(reply) => reply.await.ok(),
                None => Some(Reply::Busy),
            },
            Self::Through(courier) => courier.submit(partition, vec![command]).await.pop().flatten(),
        }
    }
}

/// A topic's way to its writers and their outcomes, by partition.
pub(crate) struct Lane<I> {
    pub topic: Topic,
    pub log: Arc<dyn EventLog>,
    pub way: Way<I>,
    pub outcomes: Vec<Arc<Outcomes>>,
    /// Reads the outcome in an entry's value.
    pub read_outcome: fn(&[u8]) -> Result<Outcome, DecodeError>,
    pub wait: Duration,
}

/// A known key met at a place in a batch.
struct Recall {
    index: usize,
    partition: u32,
    known: Known,
    content: [u8; 16],
    replayed: bool,
}

impl<I> Lane<I> {
    /// Submits one command.
    pub(crate) async fn submit(&self, partition: u32, command: Prepared<I>) -> Answer {
        let (content, deadline) = (command.content, Instant::now() + self.wait);
        let reply = match self.outcomes[partition as usize].get(&command.key) {
            Some(known) => Reply::Known { known, replayed: true },
            None => match tokio::time::timeout_at(deadline, self.way.submit_one(partition, command)).await {
                Ok(Some(reply)) => reply,
                // The writer ended without a word, or takes too long: either way the log will know.
                Ok(None) | Err(_) => return Answer::Unknown,
            },
        };
        match reply {
            Reply::Done(answered) => Answer::Answered(answered),
            Reply::Busy => BUSY,
            Reply::Known { known, .. } if known.content != content => {
                Answer::KeyReused { partition, first_offset: known.offset }
            }
            Reply::Known { known, replayed } => self
                .recall(partition, known.offset, deadline)
                .await
                .map_or(Answer::Unknown, |answered| Answer::Answered(Answered { replayed, ..answered })),
        }
    }

    /// Submits commands in order, one hand-over to each partition; `None` where an answer is given already.
    pub(crate) async fn submit_all(&self, commands: Vec<(u32, Option<Prepared<I>>)>, answers: &mut [Option<Answer>]) {
        let (mut recalls, deadline) = (Vec::new(), Instant::now() + self.wait);
        let mut by_partition: Vec<(Vec<Place>, Vec<Prepared<I>>)> = Vec::new();
        by_partition.resize_with(self.outcomes.len(), Default::default);
        for (index, (partition, command)) in commands.into_iter().enumerate() {
            let Some(command) = command else { continue };
            let content = command.content;
            if let Some(known) = self.outcomes[partition as usize].get(&command.key) {
                recalls.push(Recall { index, partition, known, content, replayed: true });
            } else {
                let (places, commands) = &mut by_partition[partition as usize];
                places.push(Place { index, content });
                commands.push(command);
            }
        }
        // All are handed over when first looked at, in order, and then waited for together.
        let with_commands = (0..).zip(by_partition).filter(|(_, (places, _))| !places.is_empty());
        let handed = with_commands.map(|(partition, (places, commands))| async move {
            let replies = tokio::time::timeout_at(deadline, self.way.submit(partition, commands)).await;
            (partition, places, replies.unwrap_or_default())
        });
        for (partition, places, replies) in join_all(handed).await {
            for (Place { index, content }, reply) in places.into_iter().zip(replies) {
                match reply {
                    Some(Reply::Done(answered)) => answers[index] = Some(Answer::Answered(answered)),
                    Some(Reply::Busy) => answers[index] = Some(BUSY),
                    Some(Reply::Known { known, replayed }) => {
                        recalls.push(Recall { index, partition, known, content, replayed });
                    }
                    None => {}
                }
            }
        }
        self.recall_all(recalls, answers, deadline).await;
    }

    /// The outcome first given under a key.
    pub(crate) async fn outcome(&self, partition: u32, key: &Key) -> Option<Answered> {
        let known = self.outcomes[partition as usize].find(key).await?;
        self.recall(partition, known.offset, Instant::now() + self.wait).await
    }

    async fn recall(&self, partition: u32, offset: u64, deadline: Instant) -> Option<Answered> {
        let stored = self.read(partition, vec![offset], deadline).await;
        self.answered(partition, stored.first()?)
    }

    async fn recall_all(&self, recalls: Vec<Recall>, answers: &mut [Option<Answer>], deadline: Instant) {
        let mut wanted: HashMap<u32, Vec<u64>> = HashMap::new();
        let (same, other): (Vec<_>, Vec<_>) = recalls.into_iter().partition(|r| r.known.content == r.content);
        for Recall { index, partition, known, .. } in other {
            answers[index] = Some(Answer::KeyReused { partition, first_offset: known.offset });
        }
        for recall in &same {
            wanted.entry(recall.partition).or_default().push(recall.known.offset);
        }
        let mut found: HashMap<(u32, u64), Answered> = HashMap::new();
        for (partition, mut offsets) in wanted {
            offsets.sort_unstable();
            offsets.dedup();
            for stored in self.read(partition, offsets, deadline).await {
                if let Some(answered) = self.answered(partition, &stored) {
                    found.insert((partition, stored.offset), answered);
                }
            }
        }
        for Recall { index, partition, known, replayed, .. } in same {
            answers[index] = found
                .get(&(partition, known.offset))
                .map(|answered| Answer::Answered(Answered { replayed, ..answered.clone() }));
        }
    }

    /// The records at these ascending offsets; fewer when the log cannot be read, or not until then.
    async fn read(&self, partition: u32, mut offsets: Vec<u64>, deadline: Instant) -> Vec<Arc<Stored>> {
        let mut found: Vec<Arc<Stored>> = Vec::with_capacity(offsets.len());
        while !offsets.is_empty() {
            let read = self.log.read_at(self.topic, partition, offsets.clone());
            match tokio::time::timeout_at(deadline, read).await {
                Ok(Ok(batch)) if batch.is_empty() => break,
                Ok(Ok(batch)) => {
                    offsets.drain(..batch.len().min(offsets.len()));
                    found.extend(batch);
                }
                Err(_elapsed) => {
                    tracing::warn!(topic = %self.topic, partition, "outcomes are not read in time");
                    break;
                }
                Ok(Err(error)) => {
                    tracing::warn!(topic = %self.topic, partition, %error, "reading outcomes failed");
                    break;
                }
            }
        }
        found
    }

    fn answered(&self, partition: u32, stored: &Stored) -> Option<Answered> {
        match (self.read_outcome)(&stored.record.value) {
            Ok(outcome) => Some(Answered { outcome, partition, offset: stored.offset, replayed: true }),
            Err(error) => {
                tracing::error!(topic = %self.topic, partition, offset = stored.offset, %error, "an entry cannot be read");
                None
            }
        }
    }
}

/// A command's place in its batch.
struct Place {
    index: usize,
    content: [u8; 16],
}
