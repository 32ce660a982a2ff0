//! Follows every partition of both topics and folds what is live; one task a partition, none waits for another.
//!
//! The log may fail and come back: the task reads on. A partition that contradicts itself is not read
//! further; its views keep what they have.

use crate::{
    Error,
    lag::{self, Gauges, Lag},
    saved::{Saver, Saving, Start, take_back},
    store::Views,
    view::{View, ViewSet},
};
use event_log::{
    Error as LogError, EventLog, Stored, Topic,
    rule::{Reader, Verdict},
    trace::Step,
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// Folded at once between two chances for other tasks: about a millisecond of one core.
const FOLD_RECORDS_MAX: usize = 256;

/// How long to wait before a failed log is read again, at first and at most: a restart takes seconds.
const RETRY_WAIT_MIN_MS: u64 = 50;
const RETRY_WAIT_MAX_MS: u64 = 5_000;

/// The tasks that fold, tell and save; they end when this is dropped.
pub struct Worker {
    tasks: JoinSet<()>,
    tellers: JoinSet<()>,
    savers: JoinSet<()>,
    stopping: watch::Sender<bool>,
}

impl Worker {
    /// Stops folding, saves what was not saved yet, and waits until every task has ended.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.stopping.send_replace(true);
        while self.savers.join_next().await.is_some() {}
    }

    /// Waits until there is nothing left to follow: the log was closed and all of it is folded.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            tellers: JoinSet::new(),
            savers: JoinSet::new(),
            stopping: watch::Sender::new(false),
        }
    }

    fn follow(&mut self, log: &Arc<dyn EventLog>, views: &Arc<Views>, topic: Topic, partition: u32, start: Start) {
        let labels = [("topic", topic.name().to_owned()), ("partition", partition.to_string())];
        let place = Place {
            views: Arc::clone(views),
            topic,
            partition,
            start,
            records: metrics::counter!("bahi_view_records_total", &labels),
            batches: metrics::histogram!("bahi_view_batch_records", &labels),
        };
        self.tasks.spawn(place.follow(Arc::clone(log)));
        self.tellers.spawn(tell_lag(Arc::clone(log), Arc::clone(views), topic, partition));
    }
}

/// Folds every partition from its first record on, and then as it grows, on the current runtime.
pub fn follow(log: Arc<dyn EventLog>, views: Arc<Views>) -> Worker {
    let mut worker = Worker::new();
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            worker.follow(&log, &views, topic, partition, Start::default());
        }
    }
    worker
}

/// The same of the market alone, where accounts are seen elsewhere.
pub fn follow_market(log: Arc<dyn EventLog>, views: Arc<Views>) -> Worker {
    follow_market_from(log, views, &[])
}

/// The same from where its rows are those of one moment already; a partition that is not named has none.
pub(crate) fn follow_market_from(log: Arc<dyn EventLog>, views: Arc<Views>, from: &[Reader]) -> Worker {
    let mut worker = Worker::new();
    views.read_market_through();
    for partition in 0..log.partitions(Topic::Market) {
        let from = from.get(partition as usize).copied().unwrap_or_default();
        let start = Start { from, whole_from: from.offset };
        worker.follow(&log, &views, Topic::Market, partition, start);
    }
    worker
}

/// Everything from what was saved of each partition on; saves from then on.
///
/// # Errors
/// When the store or the log cannot be asked; what was saved and cannot be believed is only left out.
pub async fn follow_saved(log: Arc<dyn EventLog>, views: Arc<Views>, saving: Saving) -> Result<Worker, Error> {
    let mut worker = Worker::new();
    views.begin_saving();
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            let start = take_back(&*log, &*saving.store, &views, topic, partition).await?;
            worker.follow(&log, &views, topic, partition, start);
            let (views, saving) = (Arc::clone(&views), saving.clone());
            let saver = Saver { views, saving, topic, partition, start };
            worker.savers.spawn(saver.run(worker.stopping.subscribe()));
        }
    }
    Ok(worker)
}

struct Place {
    views: Arc<Views>,
    topic: Topic,
    partition: u32,
    start: Start,
    records: metrics::Counter,
    batches: metrics::Histogram,
}

impl Place {
    async fn follow(self, log: Arc<dyn EventLog>) {
        let Self { topic, partition, start, .. } = self;
        let (mut reader, mut stopped) = (start.from, ViewSet::default());
        self.views.folded(topic, partition, &reader);
        if reader.offset >= start.whole_from {
            self.views.publish(topic, partition, reader.offset);
        }
        let mut wait_ms = RETRY_WAIT_MIN_MS;
        let (mut following, mut old) = (log.follow(topic, partition, start.from.offset), None);
        loop {
            let batch = async {
                if old.is_none() {
                    old = Some(log.tail(topic, partition).await?);
                }
                following.next().await
            };
            let batch = match batch.await {
                Ok(batch) => batch,
                Err(LogError::Closed | LogError::NoPartition { .. }) => return,
                Err(error) => {
                    tracing::warn!(%topic, partition, %error, "the log cannot be followed; trying again");
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    wait_ms = (wait_ms * 2).min(RETRY_WAIT_MAX_MS);
                    continue;
                }
            };
            wait_ms = RETRY_WAIT_MIN_MS;
            for records in batch.chunks(FOLD_RECORDS_MAX) {
                if !self.fold(records, old.unwrap_or_default(), &mut reader, &mut stopped) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Folds records in order; says whether to go on. Those below `old` were there before this began: an earlier process
    /// told their steps.
    fn fold(&self, records: &[Arc<Stored>], old: u64, reader: &mut Reader, stopped: &mut ViewSet) -> bool {
        let Self { views, topic, partition, .. } = self;
        let _cut_waits = views.folding();
        for stored in records {
            let headers = &stored.record.headers;
            match reader.fold(stored.offset, headers) {
                Ok(Verdict::Entry) => {
                    let after = headers.traceparent.as_deref().filter(|_| stored.offset >= old);
                    let _step = Step::process("fold into memory", after);
                    match topic {
                        Topic::Ledger => views.fold_entry(*partition, stored, stopped),
                        Topic::Market => views.fold_market(*partition, stored, stopped),
                    }
                }
                Ok(Verdict::Dead(_)) => views.dead(*topic, *partition, stored.offset),
                Ok(Verdict::Claim | Verdict::DeadClaim) => {}
                Err(corruption) => {
                    for view in View::ALL.iter().filter(|view| view.topic() == *topic) {
                        views.stop(*view, *partition, stored.offset, corruption.to_string().into(), stopped);
                    }
                    return false;
                }
            }
        }
        views.folded(*topic, *partition, reader);
        // Until then some rows of a snapshot are ahead of others.
        if reader.offset >= self.start.whole_from {
            views.publish(*topic, *partition, reader.offset);
        }
        self.records.increment(records.len() as u64);
        self.batches.record(u32::try_from(records.len()).unwrap_or(u32::MAX));
        true
    }
}

/// Says now and then how far behind the log each view is, for ever.
async fn tell_lag(log: Arc<dyn EventLog>, views: Arc<Views>, topic: Topic, partition: u32) {
    let (gauges, mut lags, mut end) = (Gauges::new(topic, partition), HashMap::<View, Lag<u64>>::new(), 0);
    let mut period = lag::period(partition, log.partitions(topic));
    loop {
        period.tick().await;
        // While the log cannot be asked, what was known of its end gets older.
        end = log.tail(topic, partition).await.unwrap_or(end);
        let (now, stops, folded) = (Instant::now(), views.stops(), views.reader(topic, partition).offset);
        gauges.tell(|view| {
            let stopped = stops.iter().find(|stop| stop.view == view && stop.partition == partition);
            let next = stopped.map_or(folded, |stop| stop.offset);
            let lag = lags.entry(view).or_default();
            lag.see(now, end);
            (end.saturating_sub(next), lag.behind(now, |end| next >= *end))
        });
    }
}
