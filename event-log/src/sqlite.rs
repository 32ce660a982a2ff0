//! The log in one SQLite file, for a product that runs alone; knows no other store.
//!
//! Appends are durable (`synchronous=FULL`) and grouped: `writer` is the one task that writes.
//! Reads have connections of their own and go beside it, also from other processes.
//! Layout and figures: `docs/decisions/0002-sqlite-log-layout.md`.

mod block;
mod file;
mod keys;
mod store;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool, error::DatabaseError, pool::PoolConnection, sqlite::SqlitePoolOptions,
};
use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};
use uuid::Uuid;

use self::{
    block::Damaged,
    keys::Newest,
    store::Lane,
    writer::{Append, Queue, Writer},
};
use crate::{
    BoxFuture, Error, EventLog, Follow, Follower, READ_RECORDS_MAX, Record, Stored, Topic, check_append,
    live::{End, FOLLOW_RECORDS_MAX, Live, past},
};

/// The most connections that read at once; more readers wait for one.
const READERS_MAX: u32 = 4;
/// How long a reader waits for a connection before it is told so.
const READER_WAIT: Duration = Duration::from_secs(30);
/// About the most bytes kept in memory for followers, over all partitions.
const LIVE_BYTES_MAX: usize = 64 << 20;
/// How often a follower beside another process looks for more.
const POLL: Duration = Duration::from_millis(20);

/// How the log is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of partitions of each topic, 1 to 1024: fixed when the folder is made, and must
    /// be the same ever after. Reading only takes what it finds.
    pub partitions: u32,
    /// Whether this process writes.
    pub mode: Mode,
    /// The most bytes that the file may grow to; appends past it are [`Error::Full`].
    pub max_bytes: Option<u64>,
    #[cfg(test)]
    pub(crate) without_lock: bool,
}

/// The most partitions a topic may have; each costs memory.
pub const PARTITIONS_MAX: u32 = 1024;
const _: () = assert!(PARTITIONS_MAX <= store::PARTITIONS_MAX);

/// Whether a process writes or only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Makes the file if there is none, and holds the folder's lock.
    Write,
    /// Takes no lock and reads beside a process that writes.
    ReadOnly,
}

impl Default for Options {
    /// One partition, written, without a limit.
    fn default() -> Options {
        Options {
            partitions: 1,
            mode: Mode::Write,
            max_bytes: None,
            #[cfg(test)]
            without_lock: false,
        }
    }
}

/// The log in a data folder. Dropping it lets what waits be written; [`Sqlite::close`] waits for it.
pub struct Sqlite {
    shared: Arc<Shared>,
    /// None when reading only.
    queue: Option<Arc<Queue>>,
}

/// What the writing task, the readers and the followers share.
struct Shared {
    path: PathBuf,
    mode: Mode,
    partitions: u32,
    commands_id: Uuid,
    readers: SqlitePool,
    lanes: HashMap<Lane, LaneState>,
    closed: watch::Sender<bool>,
    #[cfg(test)]
    lost: Mutex<Option<tests::Lost>>,
}

/// What is in memory of one partition.
struct LaneState {
    live: Live,
    keys: Mutex<Newest>,
    /// Held while keys are brought up to the file, when reading only.
    refresh: tokio::sync::Mutex<()>,
}

impl Sqlite {
    /// Opens the log in the data folder, which is made when it is opened to be written. To be read, the log's own
    /// file will do, whatever its name, as a backup is one.
    ///
    /// Refuses in one line a file that is foreign, newer, damaged, or made with another number of
    /// partitions, and a folder that another process writes to.
    pub async fn open(dir: &Path, options: Options) -> Result<Sqlite, Error> {
        if options.partitions == 0 || options.partitions > PARTITIONS_MAX {
            let max = PARTITIONS_MAX as usize;
            return Err(Error::TooLarge { what: "the number of partitions", max });
        }
        let path = file::path_in(dir, options.mode)?;
        match options.mode {
            Mode::Write => Sqlite::open_to_write(dir, path, options).await,
            Mode::ReadOnly => Sqlite::open_to_read(path).await,
        }
    }

    async fn open_to_write(dir: &Path, path: PathBuf, options: Options) -> Result<Sqlite, Error> {
        std::fs::create_dir_all(dir).map_err(|error| file::io(dir, &error))?;
        #[cfg(test)]
        let lock = if options.without_lock { None } else { Some(file::lock(dir)?) };
        #[cfg(not(test))]
        let lock = Some(file::lock(dir)?);
        if !path.exists() {
            file::create(&path, options.partitions).await?;
        }
        file::inspect(&path)?;
        let connection = file::writing(&path).connect().await;
        let mut connection = connection.map_err(|error| Failure::from(error).into_error(&path))?;
        file::migrate(&mut connection, &path).await?;
        file::settle(&mut connection, &path).await?;
        let fixed = file::fixed(&mut connection, &path).await?;
        if fixed.partitions != options.partitions {
            let (found, configured) = (fixed.partitions, options.partitions);
            return Err(Error::Partitions { path, found, configured });
        }
        let mut shared = Shared::new(path, Mode::Write, &fixed);
        shared.load(&mut connection).await?;
        let (shared, queue) = (Arc::new(shared), Arc::new(Queue::default()));
        queue.limit(options.max_bytes);
        let writer = Writer::new(shared.clone(), queue.clone(), connection, options.max_bytes, lock);
        tokio::spawn(writer.run());
        Ok(Sqlite { shared, queue: Some(queue) })
    }

    async fn open_to_read(path: PathBuf) -> Result<Sqlite, Error> {
        file::inspect(&path)?;
        let connection = file::reading(&path).connect().await;
        let mut connection = connection.map_err(|error| Failure::from(error).into_error(&path))?;
        file::check_format(&mut connection, &path).await?;
        let fixed = file::fixed(&mut connection, &path).await?;
        let mut shared = Shared::new(path, Mode::ReadOnly, &fixed);
        shared.check_ends(&mut connection).await?;
        Ok(Sqlite { shared: Arc::new(shared), queue: None })
    }

    /// The file that holds the log.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Limits the bytes that the file may grow to, from the next append on.
    pub fn limit(&self, max_bytes: Option<u64>) {
        if let Some(queue) = &self.queue {
            queue.limit(max_bytes);
        }
    }

    /// Writes a consistent copy of the log to a file that is new or empty, beside whatever is appended meanwhile.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        let path = to.to_owned();
        if path.metadata().is_ok_and(|file| file.len() > 0) {
            return Err(Error::Io { path, reason: "there is a file of that name".to_owned() });
        }
        let failed = |failure: sqlx::Error| Failure::from(failure).into_error(&path);
        let reader = file::reading(&self.shared.path).connect().await;
        let mut reader = reader.map_err(failed)?;
        let copy = sqlx::query("vacuum into ?").bind(to.to_string_lossy().into_owned());
        copy.execute(&mut reader).await.map_err(failed)?;
        let synced = std::fs::File::open(to).and_then(|copy| copy.sync_all());
        synced.map_err(|error| file::io(to, &error))
    }

    /// Takes no more, waits until all that waited is written, and lets go of the folder.
    pub async fn close(&self) {
        match &self.queue {
            None => self.shared.close_readers().await,
            Some(queue) => {
                queue.close();
                let mut closed = self.shared.closed.subscribe();
                // Fails only if the task is gone, and then there is nothing to wait for.
                closed.wait_for(|closed| *closed).await.map(drop).unwrap_or_default();
            }
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

impl Shared {
    fn new(path: PathBuf, mode: Mode, fixed: &file::Fixed) -> Shared {
        let readers = SqlitePoolOptions::new()
            .min_connections(0)
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(file::reading(&path));
        let lanes = Topic::ALL.into_iter().flat_map(|topic| (0..fixed.partitions).map(move |p| Lane::of(topic, p)));
        let live_bytes = LIVE_BYTES_MAX / Topic::ALL.len() / fixed.partitions as usize;
        let state = || LaneState {
            live: Live::new(0, live_bytes),
            keys: Mutex::new(Newest::new(0)),
            refresh: tokio::sync::Mutex::default(),
        };
        Shared {
            mode,
            partitions: fixed.partitions,
            commands_id: fixed.commands_id,
            readers,
            lanes: lanes.map(|lane| (lane, state())).collect(),
            closed: watch::Sender::new(false),
            path,
            #[cfg(test)]
            lost: Mutex::default(),
        }
    }

    /// Reads the ends and the newest keys; the records it passes are checked on the way.
    async fn load(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        for (lane, state) in &mut self.lanes {
            let loaded = async {
                let segment = store::first_segment_to_write(connection, *lane).await?;
                let mut newest = Newest::new(segment);
                store::add_keys(connection, *lane, &mut newest).await?;
                let end = store::end(connection, *lane).await?;
                if end != newest.next() {
                    return Err(Damaged("its index of keys reaches past its records").into());
                }
                Ok((newest, end))
            };
            let (newest, end) = loaded.await.map_err(|failure: Failure| failure.into_error(&self.path))?;
            state.live.skip_to(end);
            state.keys = Mutex::new(newest);
        }
        Ok(())
    }

    /// Reads the last block of each partition, which says whether it is whole.
    async fn check_ends(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        for lane in self.lanes.keys() {
            let end = store::end(connection, *lane).await;
            end.map_err(|failure| failure.into_error(&self.path))?;
        }
        Ok(())
    }

    fn lane(&self, topic: Topic, partition: u32) -> Result<(Lane, &LaneState), Error> {
        let lane = Lane::of(topic, partition);
        let state = (partition < self.partitions).then(|| self.lanes.get(&lane)).flatten();
        Ok((lane, state.ok_or(Error::NoPartition { topic, partition })?))
    }

    /// The end as far as this process knows.
    fn end(&self, lane: Lane) -> u64 {
        self.lanes.get(&lane).map_or(0, |state| state.live.end())
    }

    /// Makes durable records visible to readers and followers.
    fn publish(&self, lane: Lane, records: &[Arc<Stored>]) {
        let Some(state) = self.lanes.get(&lane) else { return };
        {
            let mut keys = state.keys.lock();
            for stored in records {
                keys.add(stored.record.key.as_deref());
            }
        }
        state.live.publish(records);
    }

    /// Publishes whatever the file holds past the known end.
    async fn read_on(&self, connection: &mut SqliteConnection, lane: Lane) -> Result<(), Failure> {
        loop {
            let records = store::read(connection, lane, self.end(lane), READ_RECORDS_MAX).await?;
            if records.is_empty() {
                return Ok(());
            }
            self.publish(lane, &records);
        }
    }

    async fn reader(&self) -> Result<PoolConnection<sqlx::Sqlite>, Failure> {
        match self.readers.acquire().await {
            Err(sqlx::Error::PoolClosed) => Err(Failure::Closed),
            acquired => Ok(acquired?),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(&self.path)
    }

    async fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> Result<Vec<Arc<Stored>>, Error> {
        let (lane, state) = self.lane(topic, partition)?;
        if let Some(newest) = state.live.read(from, max.min(FOLLOW_RECORDS_MAX)) {
            return Ok(newest);
        }
        let read = async { store::read(&mut *self.reader().await?, lane, from, max).await };
        read.await.map_err(|failure| self.error(failure))
    }

    async fn tail(&self, topic: Topic, partition: u32) -> Result<u64, Error> {
        let (lane, state) = self.lane(topic, partition)?;
        match self.mode {
            Mode::Write => Ok(state.live.end()),
            Mode::ReadOnly => {
                let end = async { store::end(&mut *self.reader().await?, lane).await };
                end.await.map_err(|failure| self.error(failure))
            }
        }
    }

    async fn offsets_of(
        &self,
        (lane, state): (Lane, &LaneState),
        key: &str,
        from: u64,
        max: usize,
    ) -> Result<Vec<u64>, Failure> {
        let mut reader = self.reader().await?;
        let _refreshing = match self.mode {
            Mode::Write => None,
            Mode::ReadOnly => Some(self.refresh_keys(&mut reader, lane, state).await?),
        };
        let (before, newest) = {
            let keys = state.keys.lock();
            (keys.first(), keys.offsets(key, from, max))
        };
        let mut found = store::offsets_of(&mut reader, lane, key, from, before, max).await?;
        found.extend(newest.into_iter().take(max - found.len()));
        Ok(found)
    }

    /// Brings the newest keys up to what another process has written.
    async fn refresh_keys<'a>(
        &self,
        reader: &mut SqliteConnection,
        lane: Lane,
        state: &'a LaneState,
    ) -> Result<tokio::sync::MutexGuard<'a, ()>, Failure> {
        let refreshing = state.refresh.lock().await;
        let segment = store::first_segment_to_write(reader, lane).await?;
        let mut newest = std::mem::replace(&mut *state.keys.lock(), Newest::new(0));
        newest.written_before(segment);
        let added = store::add_keys(reader, lane, &mut newest).await;
        *state.keys.lock() = newest;
        added.map(|()| refreshing)
    }

    async fn close_readers(&self) {
        for state in self.lanes.values() {
            state.live.close();
        }
        self.readers.close().await;
    }
}

impl EventLog for Sqlite {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.shared.partitions
    }

    fn commands_id(&self) -> Uuid {
        self.shared.commands_id
    }

    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        let accepted = self.shared.lane(topic, partition).and_then(|(lane, _)| {
            check_append(&records)?;
            if records.iter().any(|record| record.headers.ce_type.is_request()) {
                return Err(Error::Misplaced { topic });
            }
            Ok((lane, self.queue.as_ref().ok_or(Error::ReadOnly)?))
        });
        let (lane, queue) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => return std::future::ready(Err(error)).boxed(),
        };
        let (answer, answered) = oneshot::channel();
        queue.push(Append { lane, at, records, answer });
        let gone = || Error::Unknown { reason: "the writing task ended".to_owned() };
        async move { answered.await.unwrap_or_else(|_| Err(gone())) }.boxed()
    }

    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.shared.read(topic, partition, from, max).boxed()
    }

    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        async move {
            let (lane, _) = self.shared.lane(topic, partition)?;
            let read = async { store::read_at(&mut *self.shared.reader().await?, lane, &offsets).await };
            read.await.map_err(|failure| self.shared.error(failure))
        }
        .boxed()
    }

    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        let key = Box::<str>::from(key);
        async move {
            let lane = self.shared.lane(topic, partition)?;
            let found = self.shared.offsets_of(lane, &key, from, max.min(READ_RECORDS_MAX)).await;
            found.map_err(|failure| self.shared.error(failure))
        }
        .boxed()
    }

    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        self.shared.tail(topic, partition).boxed()
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        let shared = Arc::clone(&self.shared);
        let ends = shared.lane(topic, partition).map(|(_, state)| state.live.watch()).ok();
        Follow::new(SqliteFollower { shared, topic, partition, next: from, ends })
    }
}

struct SqliteFollower {
    shared: Arc<Shared>,
    topic: Topic,
    partition: u32,
    next: u64,
    /// None if there is no such partition, which reading says.
    ends: Option<watch::Receiver<End>>,
}

impl SqliteFollower {
    async fn next_batch(&mut self) -> Result<Vec<Arc<Stored>>, Error> {
        loop {
            if let (Mode::Write, Some(ends)) = (self.shared.mode, &mut self.ends) {
                past(ends, self.next).await?;
            }
            let batch = self.shared.read(self.topic, self.partition, self.next, FOLLOW_RECORDS_MAX).await?;
            if !batch.is_empty() {
                self.next += batch.len() as u64;
                return Ok(batch);
            }
            // Another process writes, and does not tell.
            sleep(POLL).await;
        }
    }
}

impl Follower for SqliteFollower {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.next_batch().boxed()
    }
}

/// What SQLite said, by what it means for an append.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// No space; nothing landed.
    Full,
    /// The position has a record: another writer was here; nothing landed.
    Taken,
    /// The file is not what was written.
    Damaged(String),
    /// Something else, and nothing landed.
    Refused(String),
    /// Something else, and it may have landed.
    Unknown(String),
    /// The log was closed.
    Closed,
}

impl Failure {
    fn unconnected() -> Failure {
        Failure::Refused("the file is not open".to_owned())
    }

    /// The error for whoever did not append; the writer answers appends itself.
    pub(crate) fn into_error(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Failure::Full => Error::Full,
            Failure::Taken => Error::Io { path, reason: "another writer was here".to_owned() },
            Failure::Damaged(reason) => Error::Torn { path, reason },
            Failure::Refused(reason) | Failure::Unknown(reason) => Error::Io { path, reason },
            Failure::Closed => Error::Closed,
        }
    }
}

impl From<Damaged> for Failure {
    fn from(damaged: Damaged) -> Failure {
        Failure::Damaged(damaged.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        let code = |error: &dyn DatabaseError| error.code().and_then(|code| code.parse::<i32>().ok());
        match &error {
            sqlx::Error::Database(database) => {
                // https://www.sqlite.org/rescode.html: the low byte is the primary code.
                match code(&**database).map(|code| code & 0xff) {
                    // SQLITE_FULL, also for ENOSPC: the frame that commits is written last.
                    Some(13) => Failure::Full,
                    // SQLITE_CONSTRAINT
                    Some(19) => Failure::Taken,
                    // SQLITE_CORRUPT, SQLITE_NOTADB
                    Some(11 | 26) => Failure::Damaged(database.message().to_owned()),
                    // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_CANTOPEN
                    Some(5 | 6 | 8 | 14) => Failure::Refused(database.message().to_owned()),
                    _ => Failure::Unknown(error.to_string()),
                }
            }
            _ => Failure::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
