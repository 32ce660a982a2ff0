//! The one task that writes: everything that waits while a commit is under way is the next commit.

use std::{collections::HashMap, fs::File, mem, sync::Arc};

use parking_lot::Mutex;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{
    Failure, Shared, block, file,
    keys::Segment,
    store::{self, Lane, Rows},
};
use crate::{Error, Record, Stored};

/// The most records that wait to be written; more are refused as busy.
const QUEUE_RECORDS_MAX: usize = 65_536;
/// The most bytes of values that wait to be written.
const QUEUE_BYTES_MAX: usize = 128 << 20;
/// The most records of one commit: a bound on how long it takes.
const GROUP_RECORDS_MAX: usize = 4096;
/// About the most bytes of values of one commit.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// The most records of one block; reading one record reads its whole block.
pub(super) const BLOCK_RECORDS_MAX: usize = 64;
/// About the most bytes of one block; a single larger record is a block of its own.
const BLOCK_BYTES_MAX: usize = 64 << 10;

/// About how many bytes are gathered in the write-ahead log before they are copied into the file: enough that pages
/// written again and again by small commits are copied once.
const COPY_BYTES: u64 = 24 << 20;
/// Pages that a commit writes beside those of its blocks: the ends of the tables.
const COMMIT_PAGES: u64 = 2;

/// An append that waits.
pub(super) struct Append {
    pub lane: Lane,
    pub at: Option<u64>,
    pub records: Vec<Record>,
    pub answer: oneshot::Sender<Result<u64, Error>>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.value.len()).sum()
    }
}

/// What waits to be written, in the order of the calls.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    appends: Vec<Append>,
    records: usize,
    bytes: usize,
    /// The limit of the file to set before the next commit, if it was changed.
    max_bytes: Option<Option<u64>>,
    closed: bool,
}

impl Queue {
    /// Takes an append in, or answers it at once.
    pub fn push(&self, append: Append) {
        let mut waiting = self.waiting.lock();
        let (records, bytes) = (append.records.len(), append.bytes());
        let full = waiting.records + records > QUEUE_RECORDS_MAX || waiting.bytes + bytes > QUEUE_BYTES_MAX;
        if waiting.closed || full {
            let error = if waiting.closed { Error::Closed } else { Error::Busy };
            // Whoever asked may have gone away.
            append.answer.send(Err(error)).unwrap_or_default();
            return;
        }
        waiting.records += records;
        waiting.bytes += bytes;
        waiting.appends.push(append);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Sets the limit of the file before the next commit.
    pub fn limit(&self, max_bytes: Option<u64>) {
        self.waiting.lock().max_bytes = Some(max_bytes);
    }

    /// Takes no more; what waits is still written.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Everything that waits, once there is something; none when closed and empty.
    async fn take(&self) -> Option<(Vec<Append>, Option<Option<u64>>)> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.appends.is_empty() {
                    (waiting.records, waiting.bytes) = (0, 0);
                    return Some((mem::take(&mut waiting.appends), waiting.max_bytes.take()));
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// A full segment of keys as its rows: lane, number, rows.
type SegmentRows = (Lane, u64, Vec<Vec<u8>>);

/// The writing task.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// None after a failure, until the end was read again on a new one.
    connection: Option<SqliteConnection>,
    max_bytes: Option<u64>,
    /// A full segment of keys that is being made into rows.
    segment: Option<JoinHandle<SegmentRows>>,
    /// About how many bytes the write-ahead log holds that nobody has begun to copy.
    uncopied_bytes: u64,
    /// The write-ahead log on its way into the file, beside the commits.
    copying: Option<JoinHandle<Result<(), Failure>>>,
    /// Held as long as this writes.
    lock: Option<File>,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        connection: SqliteConnection,
        max_bytes: Option<u64>,
        lock: Option<File>,
    ) -> Writer {
        let connection = Some(connection);
        Writer { shared, queue, connection, max_bytes, segment: None, uncopied_bytes: 0, copying: None, lock }
    }

    /// Writes until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some((appends, limit)) = self.queue.take().await {
            if let Some(max_bytes) = limit {
                self.max_bytes = max_bytes;
                self.apply_limit().await;
            }
            for group in groups(appends) {
                self.commit(group).await;
            }
            self.write_keys().await;
            self.copy().await;
        }
        self.write_all_keys().await;
        if let Some(copying) = self.copying.take() {
            // What is left is copied below.
            drop(copying.await);
        }
        self.shared.close_readers().await;
        // The last connection to close moves the write-ahead log into the file and removes it. That may be a reader
        // elsewhere, which cannot: what is durable is moved here, so that the file alone holds it.
        if let Some(mut connection) = self.connection.take() {
            if let Err(error) = file::settle(&mut connection, &self.shared.path).await {
                tracing::warn!(%error, "the write-ahead log was not moved into the log's file");
            }
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the log's file was not closed cleanly");
            }
        }
        drop(self.lock.take());
        self.shared.closed.send_replace(true);
    }

    /// Commits one group and answers its callers.
    async fn commit(&mut self, group: Vec<Append>) {
        if let Err(failure) = self.reconnect().await {
            // Nothing of this group was tried.
            let error = failure.into_error(&self.shared.path);
            for append in group {
                append.answer.send(Err(error.clone())).unwrap_or_default();
            }
            return;
        }
        let plan = Plan::of(group, &self.shared);
        let Plan { rows, runs, answers } = plan;
        if rows.is_empty() {
            return answer_landed(answers);
        }
        let bytes: usize = rows.iter().map(|(_, block)| block.len()).sum();
        match self.insert(rows).await {
            Ok(()) => {
                self.uncopied_bytes += bytes as u64 + COMMIT_PAGES * u64::from(file::PAGE_BYTES);
                for (lane, records) in runs {
                    self.shared.publish(lane, &records);
                }
                answer_landed(answers);
            }
            Err(failure) => {
                tracing::warn!(?failure, "an append to the log failed");
                // Closing rolls back whatever is open; then only the file says what landed.
                self.connection = None;
                let read_again = self.reconnect().await;
                if let Err(failure) = &read_again {
                    tracing::warn!(?failure, "the log cannot be read again yet");
                }
                for (lane, _, answer) in answers {
                    let error = match &failure {
                        Failure::Taken => Error::NotTheEnd { end: self.shared.end(lane) },
                        Failure::Unknown(reason) => Error::Unknown { reason: reason.clone() },
                        failure => failure.clone().into_error(&self.shared.path),
                    };
                    answer.send(Err(error)).unwrap_or_default();
                }
            }
        }
    }

    #[cfg(not(test))]
    async fn insert(&mut self, rows: Rows) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else { return Err(Failure::unconnected()) };
        store::insert_blocks(connection, rows).await
    }

    #[cfg(test)]
    async fn insert(&mut self, rows: Rows) -> Result<(), Failure> {
        use super::tests::Lost;
        let Some(connection) = &mut self.connection else { return Err(Failure::unconnected()) };
        let lost = self.shared.lost.lock().take();
        if let Some(Lost::BeforeCommit) = lost {
            return Err(Failure::Unknown("lost before the commit".to_owned()));
        }
        store::insert_blocks(connection, rows).await?;
        match lost {
            Some(Lost::AfterCommit) => Err(Failure::Unknown("lost after the commit".to_owned())),
            _ => Ok(()),
        }
    }

    /// After a failure: opens the file anew and reads every partition to its end.
    async fn reconnect(&mut self) -> Result<(), Failure> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut connection = file::writing(&self.shared.path).connect().await?;
        for lane in self.shared.lanes.keys() {
            self.shared.read_on(&mut connection, *lane).await?;
        }
        self.connection = Some(connection);
        self.apply_limit().await;
        Ok(())
    }

    async fn apply_limit(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let pages = self.max_bytes.map_or(u64::from(u32::MAX) - 1, |max| (max / u64::from(file::PAGE_BYTES)).max(1));
        let limit = format!("pragma max_page_count = {pages}");
        if let Err(failure) = store::run(connection, limit).await {
            tracing::warn!(?failure, "the limit of the log's file was not set");
        }
    }

    /// Moves the write-ahead log into the file beside the commits, as writing that much takes as long as many of them.
    /// What was committed meanwhile is little and copied here: only when all is copied is the log used again from its
    /// start.
    async fn copy(&mut self) {
        if let Some(copying) = self.copying.take_if(|copying| copying.is_finished()) {
            let copied = match (copying.await, &mut self.connection) {
                (Ok(Ok(())), Some(connection)) => store::run(connection, file::CHECKPOINT.to_owned()).await,
                (Ok(copied), _) => copied,
                (Err(panic), _) => Err(Failure::Unknown(panic.to_string())),
            };
            if let Err(failure) = copied {
                tracing::warn!(?failure, "the write-ahead log was not copied into the log's file; it is tried again");
            }
        } else if self.copying.is_none() && self.uncopied_bytes >= COPY_BYTES {
            self.uncopied_bytes = 0;
            let shared = Arc::clone(&self.shared);
            self.copying = Some(tokio::spawn(async move { file::copy(&shared.path).await }));
        }
    }

    /// Writes full segments of keys, one at a time; they are made into rows beside the commits.
    async fn write_keys(&mut self) {
        if let Some(segment) = self.segment.take_if(|segment| segment.is_finished()) {
            self.write_segment(segment).await;
        }
        if self.segment.is_none() {
            self.segment = self.full_segment();
        }
    }

    /// Writes every full segment of keys, so that opening again has less to read.
    async fn write_all_keys(&mut self) {
        while self.connection.is_some()
            && let Some(segment) = self.segment.take().or_else(|| self.full_segment())
        {
            self.write_segment(segment).await;
        }
    }

    /// Begins to make the oldest full segment of any partition into rows.
    fn full_segment(&self) -> Option<JoinHandle<SegmentRows>> {
        let mut full =
            self.shared.lanes.iter().filter_map(|(lane, state)| Some((*lane, state.keys.lock().oldest_full()?)));
        let (lane, segment) = full.next()?;
        let rows = move || (lane, segment.number, Segment::rows(&segment));
        Some(tokio::task::spawn_blocking(rows))
    }

    async fn write_segment(&mut self, segment: JoinHandle<SegmentRows>) {
        let Some(connection) = &mut self.connection else { return };
        let Ok((lane, number, rows)) = segment.await else {
            tracing::error!("the keys of a segment could not be made into rows");
            return;
        };
        match store::insert_segment(connection, lane, number, rows).await {
            Ok(()) => {
                if let Some(state) = self.shared.lanes.get(&lane) {
                    state.keys.lock().written_before(number + 1);
                }
            }
            Err(failure) => {
                // The keys stay in memory and are tried again after the next commit.
                tracing::warn!(?failure, "a segment of keys was not written");
                self.connection = None;
            }
        }
    }
}

/// Splits what waits into commits of bounded size, in order.
fn groups(appends: Vec<Append>) -> Vec<Vec<Append>> {
    let mut groups = Vec::new();
    let (mut group, mut records, mut bytes) = (Vec::new(), 0, 0);
    for append in appends {
        let (more, larger) = (append.records.len(), append.bytes());
        if !group.is_empty() && (records + more > GROUP_RECORDS_MAX || bytes + larger > GROUP_BYTES_MAX) {
            groups.push(mem::take(&mut group));
            (records, bytes) = (0, 0);
        }
        records += more;
        bytes += larger;
        group.push(append);
    }
    groups.push(group);
    groups
}

/// What one commit writes, and whom it answers with what when it is done.
struct Plan {
    rows: Rows,
    runs: HashMap<Lane, Vec<Arc<Stored>>>,
    answers: Answers,
}

/// Whom to answer, with the lane and the offset of its first record.
type Answers = Vec<(Lane, u64, oneshot::Sender<Result<u64, Error>>)>;

impl Plan {
    /// Gives each append its offsets; refuses at once what expects another end.
    fn of(group: Vec<Append>, shared: &Shared) -> Plan {
        let mut runs: HashMap<Lane, Vec<Arc<Stored>>> = HashMap::new();
        let mut answers = Vec::with_capacity(group.len());
        for Append { lane, at, records, answer } in group {
            let run = runs.entry(lane).or_default();
            let end = run.last().map_or_else(|| shared.end(lane), |last| last.offset + 1);
            if at.is_some_and(|at| at != end) {
                answer.send(Err(Error::NotTheEnd { end })).unwrap_or_default();
                continue;
            }
            let stored = |(record, offset)| Arc::new(Stored { offset, record });
            run.extend(records.into_iter().zip(end..).map(stored));
            answers.push((lane, end, answer));
        }
        let mut rows = Vec::new();
        for (lane, records) in &runs {
            for block in blocks(records) {
                rows.push((lane.position(block[0].offset), block::encode(block)));
            }
        }
        Plan { rows, runs, answers }
    }
}

fn answer_landed(answers: Answers) {
    for (_, first, answer) in answers {
        // Whoever asked may have gone away; what landed stays.
        answer.send(Ok(first)).unwrap_or_default();
    }
}

/// Cuts a run into blocks, none empty.
fn blocks(records: &[Arc<Stored>]) -> impl Iterator<Item = &[Arc<Stored>]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let within = rest.iter().take(BLOCK_RECORDS_MAX).take_while(|stored| {
            let fits = bytes < BLOCK_BYTES_MAX;
            bytes += stored.record.value.len();
            fits
        });
        let (block, left) = rest.split_at(within.count());
        rest = left;
        if block.is_empty() { None } else { Some(block) }
    })
}
