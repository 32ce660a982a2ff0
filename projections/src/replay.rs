//! Folding a log cold, from its first record: read once, decoded and folded on every core, each account on one.
//!
//! Reads no clock: whoever asks measures. Serves `bahi replay`, `verify` and `export`.

use crate::{
    Error, Position,
    past::first_after,
    store::{SHARDS, Views},
    verify::{Check, Difference, Times},
    view::ViewSet,
};
use domain::{ids::AccountId, time::Timestamp};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::entry::{Happened, decode_entry, decode_happened};
use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, thread};
use tokio::sync::mpsc;

/// Batches that wait for one folding thread: enough that reading and folding never wait for each other long.
const WAITING_BATCHES_MAX: usize = 4;

/// Records asked for at once; the port answers about 8 MB at most.
const READ_RECORDS_MAX: usize = 2_048;

/// How far to fold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// To the end as it is now.
    #[default]
    End,
    /// In each ledger partition up to and with this offset, and the market as recorded by then.
    Offset(u64),
    /// What was recorded at this time or earlier.
    Time(Timestamp),
    /// To this position; partitions that it says nothing about to their end.
    Position(Position),
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records read so far.
    pub records: u64,
    /// Records to read.
    pub of: u64,
}

/// What to replay.
#[derive(Default)]
pub struct Replay {
    /// How far.
    pub until: Until,
    /// Only these accounts; all when absent.
    pub accounts: Option<HashSet<AccountId>>,
    /// Folding threads; one for each core when absent.
    pub threads: Option<NonZeroUsize>,
}

/// What a replay gave.
pub struct Replayed {
    /// All views, folded.
    pub views: Arc<Views>,
    /// How far.
    pub position: Position,
    /// Live entries of accounts folded.
    pub entries: u64,
    /// Live market entries folded.
    pub facts: u64,
    /// Claims read, dead ones too.
    pub claims: u64,
    /// Dead entries passed over.
    pub dead: u64,
    /// Bytes of all values read.
    pub bytes: u64,
    pub(crate) difference: Option<Difference>,
}

/// Folds a log from its beginning, telling `progress` after each batch read.
///
/// # Errors
/// What the log says, and `Corrupt` where it contradicts itself. A view that cannot fold an entry
/// stops as it does live: see [`Views::stops`].
pub async fn replay(log: Arc<dyn EventLog>, replay: Replay, progress: impl FnMut(Progress)) -> Result<Replayed, Error> {
    run(log, replay, progress, false).await
}

pub(crate) async fn run(
    log: Arc<dyn EventLog>,
    replay: Replay,
    mut progress: impl FnMut(Progress),
    check: bool,
) -> Result<Replayed, Error> {
    let ends = ends(&*log, &replay.until).await?;
    let of = ends.ledger.iter().chain(&ends.market).flatten().sum();
    let views = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let folders: Vec<Folder> =
        (0..replay.threads.unwrap_or(cores).get()).map(|_| Folder::spawn(Arc::clone(&views), check)).collect();
    let mut replayed = Replayed {
        views: Arc::clone(&views),
        position: Position::start(0, 0),
        entries: 0,
        facts: 0,
        claims: 0,
        dead: 0,
        bytes: 0,
        difference: None,
    };
    let mut records = 0;
    let mut result = Ok(());
    'reading: for topic in [Topic::Market, Topic::Ledger] {
        for partition in 0..log.partitions(topic) {
            let end = ends.next(topic, partition).unwrap_or_default();
            let mut reader = Reader::default();
            let mut times = Times::new(topic, partition);
            while reader.offset < end {
                let max = usize::try_from(end - reader.offset).unwrap_or(usize::MAX).min(READ_RECORDS_MAX);
                let batch = match log.read(topic, partition, reader.offset, max).await {
                    Ok(batch) => batch,
                    Err(error) => {
                        result = Err(error.into());
                        break 'reading;
                    }
                };
                if batch.is_empty() {
                    break;
                }
                records += batch.len() as u64;
                let split = split(&views, batch, (&mut reader, &mut times), &replay.accounts, folders.len());
                let lots = match split {
                    Ok(split) => split.into_lots(&mut replayed, topic),
                    Err(error) => {
                        result = Err(error);
                        break 'reading;
                    }
                };
                for (folder, records) in folders.iter().zip(lots) {
                    if !records.is_empty() {
                        folder.send(Lot { topic, partition, records }).await;
                    }
                }
                progress(Progress { records, of });
            }
            if check {
                replayed.difference = Difference::earlier(replayed.difference.take(), times.first);
            }
            views.publish(topic, partition, reader.offset);
        }
    }
    for folder in folders {
        let found = folder.join().await;
        replayed.difference = Difference::earlier(replayed.difference.take(), found);
    }
    result?;
    replayed.position = views.position();
    Ok(replayed)
}

/// Where each partition ends for this replay.
async fn ends(log: &dyn EventLog, until: &Until) -> Result<Position, Error> {
    let mut ends = Position::start(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    let mut latest = None;
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            let tail = log.tail(topic, partition).await?;
            let end = match (until, topic) {
                (Until::End, _) => tail,
                (Until::Position(position), _) => position.next(topic, partition).unwrap_or(tail).min(tail),
                (Until::Time(time), _) => first_after(log, topic, partition, tail, *time).await?,
                (Until::Offset(offset), Topic::Ledger) => {
                    let last = log.read_at(topic, partition, vec![(*offset).min(tail.saturating_sub(1))]).await?;
                    latest = latest.max(last.first().map(|stored| stored.record.headers.ce_time));
                    tail.min(offset.saturating_add(1))
                }
                (Until::Offset(_), Topic::Market) => {
                    let time = Timestamp::from_micros(latest.unwrap_or(i64::MIN));
                    first_after(log, topic, partition, tail, time).await?
                }
            };
            ends.advance(topic, partition, end);
        }
    }
    Ok(ends)
}

/// The live records of a batch, by the thread that folds them.
struct Split {
    lots: Vec<Vec<Arc<Stored>>>,
    live: u64,
    claims: u64,
    dead: u64,
    bytes: u64,
}

fn split(
    views: &Views,
    batch: Vec<Arc<Stored>>,
    (reader, times): (&mut Reader, &mut Times),
    accounts: &Option<HashSet<AccountId>>,
    threads: usize,
) -> Result<Split, Error> {
    let (topic, partition) = (times.topic, times.partition);
    let mut split = Split { lots: vec![Vec::new(); threads], live: 0, claims: 0, dead: 0, bytes: 0 };
    for stored in batch {
        split.bytes += stored.record.value.len() as u64;
        let verdict = reader.fold(stored.offset, &stored.record.headers);
        match verdict.map_err(|corruption| Error::Corrupt { topic, partition, corruption })? {
            Verdict::Claim | Verdict::DeadClaim => split.claims += 1,
            Verdict::Dead(_) => {
                split.dead += 1;
                views.dead(topic, partition, stored.offset);
            }
            Verdict::Entry => {
                times.record(&stored);
                let key = stored.record.key.as_deref().unwrap_or_default();
                let asked = accounts.as_ref().is_none_or(|accounts| {
                    topic == Topic::Market || AccountId::new(key).is_ok_and(|account| accounts.contains(&account))
                });
                if asked {
                    split.live += 1;
                    split.lots[views.shard_of(key) * threads / SHARDS].push(stored);
                }
            }
        }
    }
    Ok(split)
}

impl Split {
    fn into_lots(self, replayed: &mut Replayed, topic: Topic) -> Vec<Vec<Arc<Stored>>> {
        match topic {
            Topic::Ledger => replayed.entries += self.live,
            Topic::Market => replayed.facts += self.live,
        }
        replayed.claims += self.claims;
        replayed.dead += self.dead;
        replayed.bytes += self.bytes;
        self.lots
    }
}

/// Live records of one partition for one thread.
struct Lot {
    topic: Topic,
    partition: u32,
    records: Vec<Arc<Stored>>,
}

/// A thread that folds the accounts of its shards.
struct Folder {
    lots: mpsc::Sender<Lot>,
    thread: thread::JoinHandle<Option<Difference>>,
}

impl Folder {
    fn spawn(views: Arc<Views>, check: bool) -> Self {
        let (lots, waiting) = mpsc::channel(WAITING_BATCHES_MAX);
        Self { lots, thread: thread::spawn(move || fold(&views, waiting, check)) }
    }

    async fn send(&self, lot: Lot) {
        // A thread that ended early has panicked; `join` says so.
        self.lots.send(lot).await.unwrap_or_default();
    }

    async fn join(self) -> Option<Difference> {
        drop(self.lots);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await.expect("joining does not panic");
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn fold(views: &Views, mut waiting: mpsc::Receiver<Lot>, check: bool) -> Option<Difference> {
    let mut stopped = std::collections::HashMap::<(Topic, u32), ViewSet>::new();
    let mut checks = check.then(Check::default);
    while let Some(Lot { topic, partition, records }) = waiting.blocking_recv() {
        let stopped = stopped.entry((topic, partition)).or_default();
        for stored in &records {
            match topic {
                Topic::Ledger => {
                    let entry = match &mut checks {
                        None => decode_happened(&stored.record.value),
                        Some(checks) => {
                            let entry = decode_entry(&stored.record.value);
                            checks.entry(partition, stored, entry.as_ref());
                            entry.map(Happened::from)
                        }
                    };
                    views.fold_decoded(partition, stored, entry, stopped);
                }
                Topic::Market => {
                    if let Some(checks) = &mut checks {
                        checks.fact(partition, stored);
                    }
                    views.fold_market(partition, stored, stopped);
                }
            }
        }
    }
    checks.and_then(Check::into_first)
}
