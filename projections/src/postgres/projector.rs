//! Follows every partition of the ledger and the market and folds them into the database; one task a partition.
//!
//! While one batch is written the next one gathers, so that batches are as large as the load makes them. Whatever
//! fails is tried again from the checkpoint, for as long as it takes: nothing is lost and nothing counts twice. Of
//! several projectors, whoever writes a partition goes on, and the others stand by and try it every few seconds. A
//! partition that contradicts itself is not read further; others go on.

use super::{
    Postgres,
    checkpoint::Checkpoint,
    partition::{Done, Partition},
};
use crate::{
    Error, Position,
    account::words,
    lag::{self, Gauges, Lag},
};
use domain::time::Timestamp;
use event_log::{Error as LogError, EventLog, Stored, Topic};
use futures::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// The most records and about the most bytes of one batch: one transaction of less than a second.
const BATCH_RECORDS_MAX: usize = 4_096;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Batches of the log that wait for a partition while it writes: what makes the next one.
const WAITING_BATCHES_MAX: usize = 4;

/// How long a batch is gathered, from the last one's start on: for each record of that, as many times as that took from
/// folding to Redis, and at most. A transaction costs much the same for one record as for a hundred: those of a few
/// milliseconds take a quarter of a partition's time.
const GATHER_PER_RECORD: Duration = Duration::from_millis(1);
const GATHER_PER_WRITE: u32 = 4;
const GATHER_MAX: Duration = Duration::from_millis(50);

/// How long to wait before what failed is tried again, at first and at most: a restart takes seconds.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(50);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a partition in which nothing happens is confirmed in Redis, which may have been emptied meanwhile.
const CONFIRM_PERIOD: Duration = Duration::from_secs(1);

/// What time it is, as whoever starts this knows; only for saying how far it is behind.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The partitions that this process is to fold, as whoever shares them out says; it changes while all runs.
pub type Given = watch::Receiver<BTreeSet<(Topic, u32)>>;

/// The tasks that fold; they end when this is dropped.
pub struct Projector {
    tasks: JoinSet<()>,
    stopping: watch::Sender<bool>,
    position: watch::Receiver<Position>,
    behind: Behind,
    written: Arc<Written>,
}

/// What a projector has written since it was started.
#[derive(Debug, Default)]
pub struct Written {
    /// Records folded, those that do not count too.
    pub records: AtomicU64,
    /// Rows put and deleted.
    pub rows: AtomicU64,
}

/// How far the partitions of a projector are behind the log. Clones share it.
#[derive(Clone)]
pub struct Behind(Arc<[(Topic, u32, AtomicU64)]>);

impl Behind {
    /// The partition that is furthest behind, and by how much; those that another projector folds are not behind.
    pub fn worst(&self) -> (Topic, u32, Duration) {
        let all = self.0.iter().map(|(topic, partition, ms)| (*topic, *partition, ms.load(Ordering::Relaxed)));
        let worst = all.max_by_key(|(.., ms)| *ms);
        worst.map_or((Topic::Ledger, 0, Duration::ZERO), |(topic, of, ms)| (topic, of, Duration::from_millis(ms)))
    }

    /// What a partition is behind that can be folded no further.
    pub const FOR_EVER: Duration = Duration::from_millis(u64::MAX);

    fn set(&self, topic: Topic, partition: u32, behind: Duration) {
        if let Some((.., ms)) = self.0.iter().find(|(own, of, _)| (*own, *of) == (topic, partition)) {
            ms.store(behind.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

impl Projector {
    /// Begins to fold every partition from its checkpoint on, on the current runtime.
    pub fn start(log: Arc<dyn EventLog>, views: Postgres, clock: Clock) -> Self {
        Self::start_with(log, views, clock, None)
    }

    /// The same of those partitions alone that are given, while they are.
    pub fn start_given(log: Arc<dyn EventLog>, views: Postgres, clock: Clock, given: Given) -> Self {
        Self::start_with(log, views, clock, Some(given))
    }

    fn start_with(log: Arc<dyn EventLog>, views: Postgres, clock: Clock, given: Option<Given>) -> Self {
        let start = Position::start(views.partitions(Topic::Ledger), views.partitions(Topic::Market));
        let (position, watched) = watch::channel(start);
        let (stopping, mut tasks) = (watch::Sender::new(false), JoinSet::new());
        let (position, written) = (Arc::new(position), Arc::<Written>::default());
        let places = Topic::ALL.into_iter().flat_map(|topic| (0..views.partitions(topic)).map(move |of| (topic, of)));
        let behind = Behind(places.map(|(topic, of)| (topic, of, AtomicU64::default())).collect());
        for topic in Topic::ALL {
            for partition in 0..views.partitions(topic) {
                let place = Place {
                    log: Arc::clone(&log),
                    views: views.clone(),
                    topic,
                    partition,
                    clock: Arc::clone(&clock),
                    position: Arc::clone(&position),
                    written: Arc::clone(&written),
                    metrics: Metrics::new(topic, partition),
                    at: Mutex::default(),
                    failing: AtomicBool::new(false),
                    behind: behind.clone(),
                };
                let wanted = Wanted { place: (topic, partition), stopping: stopping.subscribe(), given: given.clone() };
                tasks.spawn(place.run(wanted));
            }
        }
        Self { tasks, stopping, position: watched, behind, written }
    }

    /// How far it is behind, as it changes.
    pub fn behind(&self) -> Behind {
        self.behind.clone()
    }

    /// What it has written so far.
    pub fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }

    /// How far every partition is in the database, as far as this projector knows, as it moves.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Waits until everything `wanted` is in the database, at most for `limit`; says whether it is.
    pub async fn wait_for(&self, wanted: &Position, limit: Duration) -> bool {
        let mut moving = self.position.clone();
        let reached = moving.wait_for(|position| position.covers(wanted));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Lets each partition write the batch it is at, and waits until every task has ended.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        self.ended().await;
    }

    /// Waits until there is nothing left to fold: the log was closed, or no partition can be read further.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Folds everything until `stopping` says so or nothing is left, and what is under way then to its end.
pub async fn project(log: Arc<dyn EventLog>, views: Postgres, clock: Clock, mut stopping: watch::Receiver<bool>) {
    let mut projector = Projector::start(log, views, clock);
    tokio::select! {
        () = projector.ended() => {}
        () = says(&mut stopping, |stopping| *stopping) => projector.stop().await,
    }
}

/// Whether a partition is to be folded here and now.
struct Wanted {
    place: (Topic, u32),
    stopping: watch::Receiver<bool>,
    given: Option<Given>,
}

impl Wanted {
    /// Waits until it is, or until all is to stop; says whether it is.
    async fn begins(&mut self) -> bool {
        let Self { place, stopping, given } = self;
        let given = async {
            let Some(given) = given else { return };
            if given.wait_for(|given| given.contains(place)).await.is_err() {
                // Nobody gives anything any more.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = says(stopping, |stopping| *stopping) => false,
            () = given => true,
        }
    }

    /// Waits until it is not.
    async fn ends(&mut self) {
        let Self { place, stopping, given } = self;
        let taken = async {
            match given {
                None => std::future::pending().await,
                Some(given) => says(given, |given| !given.contains(place)).await,
            }
        };
        tokio::select! {
            () = says(stopping, |stopping| *stopping) => {}
            () = taken => {}
        }
    }
}

/// Waits until a value is as asked for, or whoever would change it is gone.
async fn says<T>(watched: &mut watch::Receiver<T>, asked: impl FnMut(&T) -> bool) {
    drop(watched.wait_for(asked).await);
}

struct Place {
    log: Arc<dyn EventLog>,
    views: Postgres,
    topic: Topic,
    partition: u32,
    clock: Clock,
    position: Arc<watch::Sender<Position>>,
    written: Arc<Written>,
    metrics: Metrics,
    /// Where the database has it, as far as this knows.
    at: Mutex<Option<Checkpoint>>,
    /// Whether the last try failed, so that where the database has it is not known.
    failing: AtomicBool,
    behind: Behind,
}

/// Why a partition is left.
enum Left {
    /// For good: the log was closed.
    Ended,
    /// For good: it cannot be read further.
    Broken,
    /// Until it is given again.
    Taken,
    /// Until it is loaded again.
    Overtaken,
}

impl Place {
    async fn run(self, wanted: Wanted) {
        tokio::select! {
            () = self.fold(wanted) => {}
            // It never ends, and goes on while the database is away.
            () = self.tell_lag() => {}
        }
    }

    async fn fold(&self, mut wanted: Wanted) {
        let Self { topic, partition, .. } = *self;
        let mut wait = RETRY_WAIT_MIN;
        while wanted.begins().await {
            let followed = AssertUnwindSafe(self.follow(&mut wanted, &mut wait)).catch_unwind().await;
            match followed {
                Ok(Ok(Left::Taken)) => {
                    self.leave_lag();
                    continue;
                }
                Ok(Ok(Left::Ended) | Err(Error::Log(LogError::Closed))) => return,
                Ok(Ok(Left::Broken)) => return self.behind.set(topic, partition, Behind::FOR_EVER),
                Ok(Ok(Left::Overtaken)) => {
                    self.leave_lag();
                    // Whoever is overtaken again and again stands by, and tries seldom.
                    let wait_ms = wait.as_millis();
                    tracing::info!(%topic, partition, wait_ms, "another projector was faster, or a rebuild has put other tables in place");
                }
                Ok(Err(error)) => self.failed(&error.to_string(), wait),
                // A fold that panics stops its view; this is a mistake elsewhere, and must not end in silence.
                Err(panic) => self.failed(&words(panic.as_ref()), wait),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wanted.ends() => {}
            }
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        }
    }

    fn failed(&self, reason: &str, wait: Duration) {
        let (topic, partition, wait_ms) = (self.topic, self.partition, wait.as_millis());
        tracing::warn!(%topic, partition, reason, wait_ms, "views cannot be written; trying again");
        self.metrics.failures.increment(1);
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Folds from the checkpoint on until something is in the way.
    async fn follow(&self, wanted: &mut Wanted, wait: &mut Duration) -> Result<Left, Error> {
        let Self { topic, partition, .. } = *self;
        let mut place = Partition::load(&self.views, topic, partition).await?;
        let (next, end) = (place.next(), self.log.tail(topic, partition).await?);
        if next > end {
            tracing::error!(%topic, partition, next, end, "the log ends before the views: it has lost records");
            return Ok(Left::Broken);
        }
        self.publish(&place);
        let mut reading = Reading::start(Arc::clone(&self.log), topic, partition, next);
        let mut confirming = tokio::time::interval(CONFIRM_PERIOD);
        confirming.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut gathered = Instant::now();
        loop {
            let batch = tokio::select! {
                () = wanted.ends() => return Ok(Left::Taken),
                _ = confirming.tick() => {
                    if !place.is_in_place().await? {
                        return Ok(Left::Overtaken);
                    }
                    place.confirm().await;
                    continue;
                }
                batch = reading.next(gathered) => batch,
            };
            let Some(batch) = batch else { return Ok(Left::Ended) };
            let began = Instant::now();
            match place.fold(&batch?).await? {
                Done::Overtaken => return Ok(Left::Overtaken),
                Done::Written { records, rows } => {
                    let gather = GATHER_PER_RECORD.saturating_mul(u32::try_from(records).unwrap_or(u32::MAX));
                    let gather = gather.max(began.elapsed() * GATHER_PER_WRITE);
                    gathered = began + gather.min(GATHER_MAX);
                    self.metrics.written(records, rows, began.elapsed());
                    self.written.records.fetch_add(records as u64, Ordering::Relaxed);
                    self.written.rows.fetch_add(rows as u64, Ordering::Relaxed);
                    self.publish(&place);
                    *wait = RETRY_WAIT_MIN;
                }
            }
            if let Some(corruption) = place.corruption() {
                tracing::error!(%topic, partition, %corruption, "the log contradicts itself; it is not read further");
                return Ok(Left::Broken);
            }
        }
    }

    fn publish(&self, place: &Partition) {
        *self.at.lock() = Some(place.checkpoint().clone());
        self.failing.store(false, Ordering::Relaxed);
        self.position.send_modify(|position| position.advance(self.topic, self.partition, place.next()));
    }

    /// How far it is behind is for whoever has it now to say.
    fn leave_lag(&self) {
        *self.at.lock() = None;
        self.failing.store(false, Ordering::Relaxed);
        self.metrics.lags.tell_none();
    }

    /// Says how far each view is behind; nothing, while neither the database nor the log has said where it is.
    async fn tell_lag(&self) {
        let (mut lag, mut end) = (Lag::default(), 0);
        let mut period = lag::period(self.partition, self.log.partitions(self.topic));
        loop {
            period.tick().await;
            // While the log cannot be asked, what was known of its end gets older.
            end = self.log.tail(self.topic, self.partition).await.unwrap_or(end);
            let Some(at) = self.at.lock().clone() else {
                // Another has it; unless nobody can say so, and then it gets late.
                let is_failing = self.failing.load(Ordering::Relaxed);
                let now = Instant::now().into_std();
                match is_failing {
                    true => lag.see(now, end),
                    false => lag.forget(),
                }
                self.behind.set(self.topic, self.partition, lag.behind(now, |_| false));
                continue;
            };
            let (now, mut first) = ((self.clock)(), at.reader.offset);
            self.metrics.lags.tell(|view| {
                let stopped = at.stops.iter().find(|stopped| stopped.stop.view == view);
                let (next, since) = match stopped {
                    Some(stopped) => (stopped.stop.offset, Some(stopped.recorded_at)),
                    None => (at.reader.offset, at.recorded_at),
                };
                let behind = end.saturating_sub(next);
                let late = since.filter(|_| behind > 0).map_or(0, |since| now.micros().saturating_sub(since.micros()));
                first = first.min(next);
                (behind, Duration::from_micros(late.max(0).cast_unsigned()))
            });
            let now = Instant::now().into_std();
            lag.see(now, end);
            // What fails is at no end, though no new one is seen.
            let is_failing = self.failing.load(Ordering::Relaxed);
            self.behind.set(self.topic, self.partition, lag.behind(now, |end| !is_failing && first >= *end));
        }
    }
}

/// Reading ahead of one partition while it writes.
struct Reading {
    batches: mpsc::Receiver<Result<Vec<Arc<Stored>>, LogError>>,
    task: tokio::task::JoinHandle<()>,
    /// What came and is not given yet: records, and then what failed.
    waiting: VecDeque<Arc<Stored>>,
    failed: Option<LogError>,
}

impl Reading {
    fn start(log: Arc<dyn EventLog>, topic: Topic, partition: u32, from: u64) -> Self {
        let (sender, batches) = mpsc::channel(WAITING_BATCHES_MAX);
        let task = tokio::spawn(async move {
            let mut following = log.follow(topic, partition, from);
            loop {
                let batch = following.next().await;
                let ended = matches!(batch, Err(LogError::Closed | LogError::NoPartition { .. }));
                let failed = batch.is_err();
                if ended || sender.send(batch).await.is_err() || failed {
                    return;
                }
            }
        });
        Self { batches, task, waiting: VecDeque::new(), failed: None }
    }

    /// The next records, as many as are waiting, and more may no longer come before this time; none once the log was
    /// closed. Nothing is lost if it is dropped.
    async fn next(&mut self, gathered: Instant) -> Option<Result<Vec<Arc<Stored>>, LogError>> {
        if self.waiting.is_empty() && self.failed.is_none() {
            let came = self.batches.recv().await?;
            self.take(came);
        }
        while self.waiting.len() < BATCH_RECORDS_MAX
            && self.failed.is_none()
            && let Ok(Some(came)) = tokio::time::timeout_at(gathered, self.batches.recv()).await
        {
            self.take(came);
        }
        let (mut bytes, mut count) = (0, 0);
        while count < BATCH_RECORDS_MAX
            && bytes < BATCH_BYTES_MAX
            && let Some(stored) = self.waiting.get(count)
        {
            bytes += stored.record.value.len();
            count += 1;
        }
        match count {
            0 => self.failed.take().map(Err),
            count => Some(Ok(self.waiting.drain(..count).collect())),
        }
    }

    fn take(&mut self, came: Result<Vec<Arc<Stored>>, LogError>) {
        match came {
            Ok(records) => self.waiting.extend(records),
            Err(error) => self.failed = Some(error),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a partition tells of itself.
struct Metrics {
    records: metrics::Counter,
    rows: metrics::Counter,
    failures: metrics::Counter,
    batches: metrics::Histogram,
    seconds: metrics::Histogram,
    lags: Gauges,
}

impl Metrics {
    fn new(topic: Topic, partition: u32) -> Self {
        let labels = [("topic", topic.name().to_owned()), ("partition", partition.to_string())];
        Self {
            records: metrics::counter!("bahi_projector_records_total", &labels),
            rows: metrics::counter!("bahi_projector_rows_total", &labels),
            failures: metrics::counter!("bahi_projector_failures_total", &labels),
            batches: metrics::histogram!("bahi_projector_batch_records", &labels),
            seconds: metrics::histogram!("bahi_projector_batch_seconds", &labels),
            lags: Gauges::new(topic, partition),
        }
    }

    fn written(&self, records: usize, rows: usize, took: Duration) {
        self.records.increment(records as u64);
        self.rows.increment(rows as u64);
        self.batches.record(u32::try_from(records).unwrap_or(u32::MAX));
        self.seconds.record(took);
    }
}
