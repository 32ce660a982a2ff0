//! The way of commands to writers in other processes: put among the requests, and answered once the ledger is seen to
//! answer them. Decides nothing, and answers from live entries only.

use crate::{
    error::Error,
    known::{Key, Known, Outcomes},
    outcome::Answered,
    queue::{Prepared, Reply},
    snapshots::Older,
    subject::{Seen, Subject},
};
use event_log::{
    APPEND_BYTES_MAX, APPEND_RECORDS_MAX, EventLog, Record, Requests, Stored, Topic,
    rule::{Reader, Verdict},
    trace::Step,
};
use futures::future::join_all;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};

/// Most keys of a partition looked up at once, in a store that answers reads, too.
const LOOK_UPS_MAX: usize = 4;
/// The longest wait before a ledger that could not be read is read again.
const RETRY_MS: u64 = 200;
/// The newest answers kept for a request whose place is told after its answer was seen.
const RECENT_ANSWERS: usize = 8_192;

/// Puts commands of one topic among its requests.
pub(crate) struct Courier<I> {
    requests: Requests,
    topic: Topic,
    request: fn(&Prepared<I>) -> Record,
    /// What is waited for, by partition.
    seen: Vec<Arc<Answers>>,
}

/// Answers of one partition: those that are waited for, and the newest.
pub(crate) struct Answers {
    pending: Mutex<Pending>,
    /// The next offset of the ledger.
    reached: watch::Sender<u64>,
    /// What keys were first used for.
    outcomes: Arc<Outcomes>,
    /// A place for each key that is looked up now.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Pending {
    /// By source.
    waiting: BTreeMap<i64, oneshot::Sender<Reply>>,
    /// With their sources, ascending.
    recent: VecDeque<(i64, Recent)>,
    /// The source answered last.
    last: i64,
    /// Whether no more will be seen.
    is_over: bool,
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Recent {
    /// It repeats the first entry under its key, which stands there.
    Known(Known),
    /// It repeats one whose key has left memory.
    Older(Key),
    Done(Answered),
}

impl Recent {
    /// Replies to whoever waits; nothing, while what it repeats cannot be looked up.
    fn reply(self, waiting: oneshot::Sender<Reply>, outcomes: &Arc<Outcomes>, places: &Arc<Semaphore>) {
        let reply = match self {
            Self::Known(known) => Reply::Known { known, replayed: true },
            Self::Done(answered) => Reply::Done(answered),
            Self::Older(key) => {
                // Beside what is followed: a store that is away must not hold up the answers behind this one.
                tokio::spawn(look_up(key, waiting, Arc::clone(outcomes), Arc::clone(places)));
                return;
            }
        };
        drop(waiting.send(reply));
    }
}

/// Replies with what was first said under a key, unless nobody waits for it any more.
async fn look_up(key: Key, mut waiting: oneshot::Sender<Reply>, outcomes: Arc<Outcomes>, places: Arc<Semaphore>) {
    let found = async {
        // The semaphore is never closed.
        let _place = places.acquire().await;
        outcomes.find(&key).await
    };
    let found = tokio::select! {
        biased;
        found = found => found,
        () = waiting.closed() => None,
    };
    if let Some(known) = found {
        drop(waiting.send(Reply::Known { known, replayed: true }));
    }
}

impl<I> Courier<I> {
    /// With what each partition's keys were first used for.
    pub(crate) fn new<S: Subject<Item = I>>(requests: Requests, outcomes: &[Arc<Outcomes>]) -> Self {
        let answers = |outcomes| {
            let pending = Mutex::new(Pending { last: -1, ..Pending::default() });
            let (reached, places) = (watch::Sender::new(0), Arc::new(Semaphore::new(LOOK_UPS_MAX)));
            Arc::new(Answers { pending, reached, outcomes: Arc::clone(outcomes), places })
        };
        let seen = outcomes.iter().map(answers).collect();
        Self { requests, topic: S::TOPIC, request: S::request, seen }
    }

    pub(crate) fn answers(&self, partition: u32) -> Arc<Answers> {
        Arc::clone(&self.seen[partition as usize])
    }

    /// Puts commands in order and waits for their replies; [`Reply::Busy`] where nothing was put, nothing where that is
    /// not known.
    pub(crate) async fn submit(&self, partition: u32, commands: Vec<Prepared<I>>) -> Vec<Option<Reply>> {
        let answers = &self.seen[partition as usize];
        if answers.pending.lock().is_over {
            return commands.iter().map(|_| Some(Reply::Busy)).collect();
        }
        // Each takes its place in the queue here, in order; what is long is put in parts.
        let mut records: Vec<Record> = commands.iter().map(self.request).collect();
        let _sending: Vec<Step> = records.iter_mut().filter_map(sending).collect();
        let parts = parts(records);
        let puts: Vec<_> =
            parts.into_iter().map(|part| (part.len(), self.requests.put(self.topic, partition, part))).collect();
        let replies = puts.into_iter().map(|(count, put)| async move {
            match put.await {
                Ok(first) => {
                    let sources = (first..).take(count);
                    let replies = sources.map(|source| answers.wait(i64::try_from(source).unwrap_or(i64::MAX)));
                    // Looked up by place before any is awaited.
                    let replies: Vec<_> = replies.collect();
                    join_all(replies.into_iter().map(|reply| async move { reply.await.ok() })).await
                }
                Err(event_log::Error::Unknown { reason }) => {
                    tracing::warn!(topic = %self.topic, partition, reason, "whether requests were put is not known");
                    (0..count).map(|_| None).collect()
                }
                Err(error) => {
                    tracing::warn!(topic = %self.topic, partition, %error, "requests were not put");
                    (0..count).map(|_| Some(Reply::Busy)).collect()
                }
            }
        });
        join_all(replies).await.into_iter().flatten().collect()
    }
}

/// The step of putting a request, which its answer follows.
fn sending(request: &mut Record) -> Option<Step> {
    let headers = &mut request.headers;
    let step = Step::send("send request", Some(headers.traceparent.as_deref()?));
    headers.traceparent = step.traceparent();
    Some(step)
}

/// As many requests together as one append takes.
fn parts(records: Vec<Record>) -> Vec<Vec<Record>> {
    let (mut parts, mut bytes): (Vec<Vec<Record>>, usize) = (Vec::new(), 0);
    for record in records {
        let more = record.value.len();
        match parts.last_mut().filter(|part| part.len() < APPEND_RECORDS_MAX && bytes + more <= APPEND_BYTES_MAX) {
            Some(part) => part.push(record),
            None => {
                bytes = 0;
                parts.push(vec![record]);
            }
        }
        bytes += more;
    }
    parts
}

impl Answers {
    /// The reply to the request at this place, when it is seen.
    fn wait(&self, source: i64) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        let mut pending = self.pending.lock();
        if pending.is_over {
            // What is put by now is answered, and that is seen elsewhere or later.
        } else if source > pending.last {
            // Callers that gave up leave nothing behind.
            if pending.waiting.len() >= RECENT_ANSWERS {
                pending.waiting.retain(|_, waiting| !waiting.is_closed());
            }
            pending.waiting.insert(source, sender);
        } else if let Ok(at) = pending.recent.binary_search_by_key(&source, |(source, _)| *source) {
            pending.recent[at].1.clone().reply(sender, &self.outcomes, &self.places);
        }
        // Otherwise the sender is dropped: the answer is long gone by, and is asked for by its key.
        receiver
    }

    /// Takes in a live entry.
    fn saw(&self, source: i64, answer: Recent) {
        let mut pending = self.pending.lock();
        pending.last = source;
        if let Some(waiting) = pending.waiting.remove(&source) {
            answer.reply(waiting, &self.outcomes, &self.places);
            return;
        }
        if pending.recent.len() >= RECENT_ANSWERS {
            pending.recent.pop_front();
        }
        pending.recent.push_back((source, answer));
    }

    /// No more answers will be seen: whoever waits is to ask again, and nothing more is put.
    pub(crate) fn end(&self) {
        let mut pending = self.pending.lock();
        pending.is_over = true;
        pending.waiting.clear();
    }

    /// Waits until the ledger is seen up to this offset.
    pub(crate) async fn reach(&self, offset: u64) {
        // Its sender lives in `self`.
        drop(self.reached.subscribe().wait_for(|reached| *reached >= offset).await);
    }
}

/// Follows the answers of one partition for a desk.
pub(crate) struct Answering {
    pub log: Arc<dyn EventLog>,
    pub partition: u32,
    /// Where following begins, and everything before it is in the snapshot.
    pub from: Reader,
    pub answers: Arc<Answers>,
    /// Where keys are that are older than the last snapshot of this version.
    pub older: Option<(Older, String)>,
    /// Live entries after which what has reached a snapshot is forgotten.
    pub forget_every: u64,
}

impl Answering {
    /// Follows for ever; returns when the log is closed or cannot be folded further.
    pub(crate) async fn run<S: Subject>(self) -> Result<(), Error> {
        let (topic, partition) = (S::TOPIC, self.partition);
        let mut reader = self.from;
        let mut records = self.log.follow(topic, partition, reader.offset);
        let (mut since, mut forgetting) = (0, JoinSet::new());
        self.answers.reached.send_replace(reader.offset);
        loop {
            let batch = match records.next().await {
                Ok(batch) => batch,
                Err(event_log::Error::Closed) => return Ok(()),
                Err(source) if source.ends_following() => return Err(Error::Log { topic, partition, source }),
                Err(error) => {
                    tracing::warn!(%topic, partition, %error, "reading answers failed; trying again");
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
                    continue;
                }
            };
            since += batch.len() as u64;
            for stored in &batch {
                self.see::<S>(&mut reader, stored)?;
            }
            self.answers.reached.send_replace(reader.offset);
            while forgetting.try_join_next().is_some() {}
            if since >= self.forget_every
                && forgetting.is_empty()
                && let Some((older, version)) = &self.older
            {
                since = 0;
                let (older, version, answers) = (older.clone(), version.clone(), Arc::clone(&self.answers));
                forgetting.spawn(async move { forget(&older, &version, partition, &answers.outcomes).await });
            }
        }
    }

    fn see<S: Subject>(&self, reader: &mut Reader, stored: &Stored) -> Result<(), Error> {
        let (topic, partition, offset) = (S::TOPIC, self.partition, stored.offset);
        let headers = &stored.record.headers;
        let verdict = reader.fold(offset, headers).map_err(|source| Error::Corrupt { topic, partition, source })?;
        #[cfg(test)]
        let verdict = crate::writer::model::left_out::at_equal_term(reader, headers, verdict);
        if verdict != Verdict::Entry {
            return Ok(());
        }
        let failed = |reason| Error::Entry { topic, partition, offset, reason };
        let Seen { replayed, repeat, outcome } = S::seen(&stored.record.value).map_err(failed)?;
        if replayed.first {
            self.answers.outcomes.remember(replayed.key, Known { content: replayed.content, offset });
        }
        let answered = Answered { outcome, partition, offset, replayed: false };
        let recent = match (repeat, self.answers.outcomes.get(&replayed.key)) {
            (false, _) => Recent::Done(answered),
            (true, Some(known)) => Recent::Known(known),
            (true, None) => Recent::Older(replayed.key),
        };
        self.answers.saw(headers.source, recent);
        Ok(())
    }
}

/// Lets go of keys that the snapshot has.
async fn forget(older: &Older, version: &str, partition: u32, outcomes: &Outcomes) {
    match older.saved_up_to(version).await {
        Ok(reader) => outcomes.forget_before(reader.offset),
        Err(error) => tracing::warn!(partition, %error, "the snapshot cannot be asked; keys stay in memory"),
    }
}
