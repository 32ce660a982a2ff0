//! The commands of a partition as they come to its writer: from desks in this process, or from the log of requests,
//! where every one has its place and is answered from there in order. Decides nothing.

use crate::{
    error::Error,
    followed::Followed,
    known::Key,
    queue::{HandOver, Prepared},
    snapshots::Older,
    subject::Subject,
};
use domain::time::Timestamp;
use event_log::{EventLog, Record, Requests, Stored, Topic, requests};
use futures::future::join_all;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

/// Batches read ahead of the writer, each of what a follower gives at once.
const AHEAD_BATCHES: usize = 2;
/// How long until a partition of requests that could not be read is read again.
const RETRY_MS: u64 = 200;
/// How long work that was named due waits for its answer before it is named again.
pub(crate) const DUE_AGAIN_MS: i64 = 5_000;
/// Requests of due work under way at once; more wait in the index of due work.
const DUE_PUTS_MAX: usize = 4;
/// Keys of due work remembered before old ones are looked for.
const DUE_KEYS_MAX: usize = 8_192;

/// Where a writer's commands come from.
pub(crate) enum Inbox<S: Subject> {
    /// From desks in this process; an entry is written for each that is new.
    Desk(mpsc::UnboundedReceiver<HandOver<S::Item>>),
    /// From the log of requests; an entry is written for each.
    Log(Intake<S>),
}

impl<S: Subject> Inbox<S> {
    /// The next commands; none when there are no more to come.
    pub(crate) async fn recv(&mut self) -> Option<HandOver<S::Item>> {
        match self {
            Self::Desk(desk) => desk.recv().await,
            Self::Log(intake) => match &mut intake.reading {
                Some(reading) => reading.batches.recv().await,
                None => std::future::pending().await,
            },
        }
    }

    pub(crate) fn try_recv(&mut self) -> Option<HandOver<S::Item>> {
        match self {
            Self::Desk(desk) => desk.try_recv().ok(),
            Self::Log(intake) => intake.reading.as_mut()?.batches.try_recv().ok(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Desk(desk) => desk.is_empty(),
            Self::Log(intake) => intake.reading.as_ref().is_none_or(|reading| reading.batches.is_empty()),
        }
    }

    /// Why there are no more to come.
    pub(crate) fn failure(&self) -> Option<Error> {
        match self {
            Self::Desk(_) => None,
            Self::Log(intake) => intake.reading.as_ref()?.failed.lock().take(),
        }
    }

    /// The requests, if that is where commands come from.
    pub(crate) fn log(&mut self) -> Option<&mut Intake<S>> {
        match self {
            Self::Desk(_) => None,
            Self::Log(intake) => Some(intake),
        }
    }
}

/// One partition of the log of requests.
pub(crate) struct Intake<S: Subject> {
    requests: Requests,
    /// The log of answers: it holds what a used key was used for.
    answers: Arc<dyn EventLog>,
    partition: u32,
    /// The market that commands may wait for, and how long.
    market: Option<(Arc<Followed>, Duration)>,
    /// Where keys are that left memory.
    older: Option<Older>,
    reading: Option<Reading<S::Item>>,
    /// Due work put among the requests, and until when its answer is waited for.
    due: HashMap<Key, Timestamp>,
    puts: JoinSet<()>,
}

struct Reading<I> {
    batches: mpsc::Receiver<HandOver<I>>,
    task: JoinHandle<()>,
    failed: Arc<parking_lot::Mutex<Option<Error>>>,
}

impl<I> Drop for Reading<I> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: Subject> Intake<S> {
    pub(crate) fn new(
        requests: Requests,
        answers: Arc<dyn EventLog>,
        partition: u32,
        market: Option<(Arc<Followed>, Duration)>,
        older: Option<Older>,
    ) -> Self {
        let (due, puts) = (HashMap::new(), JoinSet::new());
        Self { requests, answers, partition, market, older, reading: None, due, puts }
    }

    /// Which requests these are, as a claim names them.
    pub(crate) fn id(&self) -> String {
        self.requests.id().to_string()
    }

    pub(crate) fn answers(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.answers)
    }

    /// Reads from this source on, whatever was read before.
    ///
    /// # Errors
    /// When the requests end before it: some were lost.
    pub(crate) async fn begin(&mut self, from: u64) -> Result<(), Error> {
        self.end();
        let (topic, partition) = (S::TOPIC, self.partition);
        let failed = |source| Error::Log { topic, partition, source };
        let tail = match self.requests.tail(topic, partition).await {
            // What is lost does not come back by claiming again.
            Err(error) if error.ends_following() => {
                return Err(Error::Requests { topic, partition, reason: error.to_string() });
            }
            tail => tail.map_err(failed)?,
        };
        if tail < from {
            let name = Requests::name(topic);
            let reason = format!("{name}/{partition} ends at {tail}, but {from} of it are answered: restore it");
            return Err(Error::Requests { topic, partition, reason });
        }
        let (sender, batches) = mpsc::channel(AHEAD_BATCHES);
        let failed = Arc::new(parking_lot::Mutex::new(None));
        let reader = Reader::<S> {
            requests: self.requests.clone(),
            answers: Arc::clone(&self.answers),
            partition,
            market: self.market.clone(),
            sender,
        };
        let failing = Arc::clone(&failed);
        // Kept until the reason is there: the writer asks for it as soon as nothing more can come.
        let open = reader.sender.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = reader.run(from).await {
                *failing.lock() = Some(error);
            }
            drop(open);
        });
        self.reading = Some(Reading { batches, task, failed });
        Ok(())
    }

    /// Reads no more.
    pub(crate) fn end(&mut self) {
        self.reading = None;
        self.due.clear();
        self.puts.abort_all();
    }

    /// Whether due work may be named now.
    pub(crate) fn may_put(&mut self) -> bool {
        while self.puts.try_join_next().is_some() {}
        self.puts.len() < DUE_PUTS_MAX
    }

    /// Whether this due work waits for its answer.
    pub(crate) fn is_put(&self, key: &Key, now: Timestamp) -> bool {
        self.due.get(key).is_some_and(|until| *until > now)
    }

    /// Puts due work among the requests; the store is asked first of keys that it may hold. What does not arrive is named
    /// again later, under the same ids.
    pub(crate) fn put(&mut self, due: &[Prepared<S::Item>], now: Timestamp, may_be_saved: impl Fn(&Key) -> bool) {
        if due.is_empty() {
            return;
        }
        if self.due.len() > DUE_KEYS_MAX {
            self.due.retain(|_, until| *until > now);
        }
        let until = now.plus_micros(DUE_AGAIN_MS * 1_000);
        self.due.extend(due.iter().map(|command| (command.key, until)));
        let asked = |key: Key| may_be_saved(&key).then_some(key);
        let records: Vec<(Option<Key>, Record)> =
            due.iter().map(|command| (asked(command.key), S::request(command))).collect();
        let (requests, older, partition) = (self.requests.clone(), self.older.clone(), self.partition);
        self.puts.spawn(async move {
            if let Err(error) = put_new(&requests, older, S::TOPIC, partition, records).await {
                let topic = S::TOPIC;
                tracing::warn!(%topic, partition, %error, "due work was not put among the requests; it is named again");
            }
        });
    }
}

/// Puts what was never asked before, in order: what is due but has an outcome would be answered with it for ever. What has
/// a key here may have one in the store; what stands before all such is put though the store is away.
async fn put_new(
    requests: &Requests,
    older: Option<Older>,
    topic: Topic,
    partition: u32,
    mut records: Vec<(Option<Key>, Record)>,
) -> Result<(), event_log::Error> {
    let keys: Vec<Key> = records.iter().filter_map(|(key, _)| *key).collect();
    let known = match older.filter(|_| !keys.is_empty()) {
        Some(older) => older.find_all(keys).await,
        None => Ok(vec![None; keys.len()]),
    };
    let asked = match known {
        Ok(known) => {
            let mut known = known.into_iter();
            records.retain(|(key, _)| key.is_none() || known.next().flatten().is_none());
            Ok(())
        }
        Err(error) => {
            records.truncate(records.iter().take_while(|(key, _)| key.is_none()).count());
            Err(error)
        }
    };
    if !records.is_empty() {
        let records = records.into_iter().map(|(_, record)| record).collect();
        requests.put(topic, partition, records).await?;
    }
    asked
}

/// The task that reads ahead of the writer.
struct Reader<S: Subject> {
    requests: Requests,
    answers: Arc<dyn EventLog>,
    partition: u32,
    market: Option<(Arc<Followed>, Duration)>,
    sender: mpsc::Sender<HandOver<S::Item>>,
}

type Read<S> = Vec<(Prepared<<S as Subject>::Item>, u64)>;

impl<S: Subject> Reader<S> {
    /// Reads until nobody takes any more, or a record is met that cannot be answered.
    async fn run(self, from: u64) -> Result<(), Error> {
        let (topic, partition) = (S::TOPIC, self.partition);
        let mut records = self.requests.follow(topic, partition, from);
        loop {
            let batch = match records.next().await {
                Ok(batch) => batch,
                Err(event_log::Error::Closed) => return Ok(()),
                Err(error) if error.ends_following() => {
                    return Err(self.unanswerable(requests::named(error, topic).to_string()));
                }
                Err(error) => {
                    tracing::warn!(%topic, partition, %error, "reading requests failed; trying again");
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
                    continue;
                }
            };
            let (read, foreign) = self.read(&batch);
            let wanted = read.iter().filter_map(|(request, _)| S::wanted_market(&request.item).map(<[u64]>::to_vec));
            self.await_market(wanted.collect()).await;
            if !read.is_empty() && self.sender.send(HandOver::Requests(read)).await.is_err() {
                return Ok(());
            }
            if let Some(foreign) = foreign {
                return Err(foreign);
            }
        }
    }

    /// Reads requests up to the first that is none, and says which that is.
    fn read(&self, batch: &[Arc<Stored>]) -> (Read<S>, Option<Error>) {
        let mut read = Vec::with_capacity(batch.len());
        for stored in batch {
            if self.is_identity(stored) {
                continue;
            }
            match S::read_request(stored) {
                Ok(request) => read.push((request, stored.offset)),
                Err(reason) => {
                    let (name, partition, offset) = (Requests::name(S::TOPIC), self.partition, stored.offset);
                    let reason = format!(
                        "{name}/{partition}/{offset} is no request that this release answers ({reason}): \
                         run the release that wrote it, or restore the topic"
                    );
                    return (read, Some(self.unanswerable(reason)));
                }
            }
        }
        (read, None)
    }

    /// The record that says which log this is.
    fn is_identity(&self, stored: &Stored) -> bool {
        S::TOPIC == Topic::Ledger && self.partition == 0 && stored.offset == 0 && stored.record.key.is_none()
    }

    fn unanswerable(&self, reason: String) -> Error {
        Error::Requests { topic: S::TOPIC, partition: self.partition, reason }
    }

    /// Waits for the market facts that commands name, where there are such facts at all: what was made up is not
    /// waited for, and the book refuses it.
    async fn await_market(&self, all_wanted: Vec<Vec<u64>>) {
        let Some((followed, limit)) = &self.market else { return };
        // Each asked once for a batch: what is made up must not cost those behind it a question each.
        let mut ends = HashMap::new();
        for wanted in all_wanted {
            if followed.has_reached(&wanted) || !self.exists(&wanted, followed.behind(&wanted), &mut ends).await {
                continue;
            }
            if !followed.reach(&wanted, *limit).await {
                // The market is not followed for now: the others would wait as long for nothing.
                return;
            }
        }
    }

    /// Whether the market has records up to these offsets, as far as is known, in those of its partitions that are not
    /// folded so far; asks for the ends that nobody asked for yet.
    async fn exists(&self, wanted: &[u64], behind: Vec<u32>, ends: &mut HashMap<u32, u64>) -> bool {
        if wanted.len() > self.answers.partitions(Topic::Market) as usize {
            return false;
        }
        let unasked: Vec<u32> = behind.iter().copied().filter(|partition| !ends.contains_key(partition)).collect();
        let asked = unasked.into_iter().map(|partition| async move {
            // One that cannot be asked ends nowhere, and is waited for.
            (partition, self.answers.tail(Topic::Market, partition).await.unwrap_or(u64::MAX))
        });
        ends.extend(join_all(asked).await);
        behind.iter().all(|partition| ends[partition] >= wanted[*partition as usize])
    }
}
