//! The port to the log: where records are kept, in which order, and when they are durable.
//!
//! It knows offsets, headers and bytes, and the rule that says which records count ([`rule`]).
//! It does not know what an entry says, and it never changes or removes a record.
//!
//! A partition, as an [`EventLog`] sees it:
//!
//! ```text
//!  offset   0   1   2   3   4   5   6
//!         +---+---+---+---+---+---+ - -
//!         | r | r | r | r | r | r |        records: dense, never changed
//!         +---+---+---+---+---+---+ - -
//!           ^           ^           ^
//!        read(0)     follow(3)    tail = 6, where the next record goes
//! ```

pub mod record;

pub mod rule;

pub mod kafka;
pub mod memory;
pub mod sqlite;
pub mod trace;

pub mod postgres;

pub mod contract;

pub mod position;

pub mod requests;

pub mod snapshot;

mod live;
mod murmur;

use std::{path::PathBuf, sync::Arc};

use uuid::Uuid;

pub use live::{Follow, Follower};
pub use murmur::partition_of;
pub use position::Position;
pub use record::{Headers, Record, RecordKind, Stored, Topic};
pub use requests::Requests;

/// A boxed future, so that the port can be used as `Arc<dyn EventLog>`.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;

/// The largest value of one record; the largest batch of a broker's defaults is the model.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The longest key and the longest single header, as text; a longer one is a mistake upstream.
pub const TEXT_BYTES_MAX: usize = 4096;

/// The most records one `append` takes: one transaction, held in memory until it is durable.
pub const APPEND_RECORDS_MAX: usize = 4096;

/// The most bytes of values one `append` takes.
pub const APPEND_BYTES_MAX: usize = 16 << 20;

/// The most records one `read`, `read_at` or `offsets_of` answers, whatever `max` says.
pub const READ_RECORDS_MAX: usize = 65_536;

/// About the most bytes of values one `read` or `read_at` answers; at least one record is answered.
pub const READ_BYTES_MAX: usize = 8 << 20;

/// A log of topics with partitions.
///
/// Obligations of every adapter, kept by the suite in [`contract`]:
///
/// - Offsets of a partition start at 0 and have no gap; a record once read is read the same for ever.
/// - A record is visible to readers only once it is durable.
/// - Who retries: the caller. After [`Error::Unknown`] the records may or may not be there, and the
///   caller must read to the end before it appends anything that stands on them.
pub trait EventLog: Send + Sync {
    /// How many partitions the topic has, fixed when the log was made.
    fn partitions(&self, topic: Topic) -> u32;

    /// The identity of the log's commands, as a claim names it; embedded, made with the folder.
    fn commands_id(&self) -> Uuid;

    /// Appends the records, all or none, and answers the offset of the first.
    ///
    /// They are durable when it returns. `at` is where the caller believes the end to be, and
    /// another end is refused as [`Error::NotTheEnd`]; without it they go to the end.
    /// The place in the queue is taken when this is called, not when the future is first polled:
    /// several may be in flight and they commit in the order of the calls. One that fails does not
    /// fail those behind it. A future that is dropped is not taken back.
    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>>;

    /// Up to `max` records from `from` on, ascending; none at or past the end.
    ///
    /// Bounded also by [`READ_RECORDS_MAX`] and [`READ_BYTES_MAX`], so that fewer than `max` does
    /// not mean the end; only an empty answer does.
    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>>;

    /// The records at exactly these ascending offsets; those past the end are left out.
    ///
    /// Bounded as [`EventLog::read`]: a shorter answer is a prefix, and the caller asks for the rest.
    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>>;

    /// The offsets of the records with this key, ascending, from `from` on, at most `max`.
    ///
    /// Every record counts here, also one that the [`rule`] calls dead.
    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>>;

    /// The end: the offset that the next record will have.
    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>>;

    /// Follows from an offset on: first what is stored, then what is appended, for ever.
    ///
    /// What was just appended reaches followers from memory; one that falls behind reads the store
    /// again and misses nothing.
    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow;
}

/// What went wrong with the log, named by what can be done about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing was appended: the caller's end is not the end. Read on from there, then decide again.
    #[error("the end is {end}, not where the append expected it")]
    NotTheEnd {
        /// The end as it is now.
        end: u64,
    },
    /// Nothing was appended: no space is left. Works again when there is space.
    #[error("the log is full: free space on its disk and try again")]
    Full,
    /// Nothing was appended: too much waits to be written. Try again soon.
    #[error("the log is busy: too many records wait to be written")]
    Busy,
    /// The result of the append is not known. Read to the end before appending again.
    #[error("it is not known whether the append landed ({reason}): read to the end")]
    Unknown {
        /// What was seen.
        reason: String,
    },
    /// Nothing was appended: a limit of the port was passed. The same call is refused for ever.
    #[error("{what} is over the limit of {max}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// There is no such partition.
    #[error("{topic} has no partition {partition}")]
    NoPartition {
        /// The topic asked for.
        topic: Topic,
        /// The partition asked for.
        partition: u32,
    },
    /// The file is not a log of this product. Point the data folder elsewhere.
    #[error("{}: not a Bahi log; choose another data folder or move the file away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later release. Use that release.
    #[error(
        "{}: written by a later release (format {found}, this one knows {known}); use that release",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The latest format this release knows.
        known: i64,
    },
    /// The file is damaged. Restore a backup.
    #[error("{}: damaged ({reason}); restore it from a backup", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Another process writes to this folder. Stop it, or read only.
    #[error("{}: another process has this data folder open for writing; stop it first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The folder was made with another number of partitions, which never changes.
    #[error("{}: made with {found} partitions, configured are {configured}; set it back", path.display())]
    Partitions {
        /// The file.
        path: PathBuf,
        /// The number it was made with.
        found: u32,
        /// The number configured now.
        configured: u32,
    },
    /// There is no log in the folder, and one opened to be read is not made.
    #[error("{}: no log here; start `bahi serve` with this data folder first", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// A command or a fact among answers, or the other way round: a mistake of the caller.
    #[error("{topic} keeps answers only, and no command or fact")]
    Misplaced {
        /// The topic.
        topic: Topic,
    },
    /// The log was opened to be read.
    #[error("the log was opened read only")]
    ReadOnly,
    /// The log was closed.
    #[error("the log was closed")]
    Closed,
    /// A snapshot is not what was saved. Forget it and fold the log.
    #[error("{}: a snapshot is damaged ({reason}); the log is folded again", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// No broker can be asked; nothing was appended. Works again when one answers.
    #[error("the log's brokers cannot be reached: {reason}; check that they run and that their addresses are right")]
    Unreachable {
        /// Which, and what was seen.
        reason: String,
    },
    /// The topics are not what the log needs. See `bahi topics plan`.
    #[error("the log's topics are not as they have to be: {reason}")]
    Topics {
        /// Which, and what to do.
        reason: String,
    },
    /// Records that were there are gone: a topic was cut or made anew. Nothing is read further.
    #[error("{topic} partition {partition} has lost records ({reason}); restore it before going on")]
    Cut {
        /// The topic.
        topic: Topic,
        /// Its partition.
        partition: u32,
        /// What was seen.
        reason: String,
    },
    /// A record is not one of this product. Nothing is read past it.
    #[error(
        "{topic} partition {partition} offset {offset} is not a record of Bahi: {reason}; nobody else may write its topics, see 'A foreign record' in docs/OPERATING.md"
    )]
    Record {
        /// The topic.
        topic: Topic,
        /// Its partition.
        partition: u32,
        /// Where it stands.
        offset: u64,
        /// What does not read.
        reason: String,
    },
    /// The database cannot be asked now, or what was asked failed and was taken back. Works again when it answers.
    #[error("PostgreSQL at {at}: {reason}")]
    Database {
        /// Which: host, port and name.
        at: Box<str>,
        /// What was seen.
        reason: Box<str>,
    },
    /// The database lets nobody in with this URL. Correct it, or the role.
    #[error("PostgreSQL at {at} refuses: {reason}; check the URL, the role and its password")]
    DatabaseRefuses {
        /// Which: host, port and name.
        at: Box<str>,
        /// What it said.
        reason: Box<str>,
    },
    /// The database's tables are not those of this release.
    #[error("PostgreSQL at {at}: {reason}")]
    DatabaseSchema {
        /// Which: host, port and name.
        at: Box<str>,
        /// What is missing, and what to do.
        reason: Box<str>,
    },
    /// The store failed otherwise; nothing was appended.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
}

impl Error {
    /// Whether following cannot go on, however often it is tried: records are lost, or none of ours.
    pub fn ends_following(&self) -> bool {
        matches!(self, Error::Cut { .. } | Error::Record { .. } | Error::Topics { .. } | Error::NoPartition { .. })
    }

    /// Whether the same append may be tried again as it is.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Full | Error::Busy | Error::Unreachable { .. } | Error::Database { .. } | Error::Io { .. } => true,
            Error::NotTheEnd { .. }
            | Error::Unknown { .. }
            | Error::TooLarge { .. }
            | Error::NoPartition { .. }
            | Error::Foreign { .. }
            | Error::Newer { .. }
            | Error::Torn { .. }
            | Error::Snapshot { .. }
            | Error::Locked { .. }
            | Error::Partitions { .. }
            | Error::Topics { .. }
            | Error::Cut { .. }
            | Error::Record { .. }
            | Error::DatabaseRefuses { .. }
            | Error::DatabaseSchema { .. }
            | Error::Misplaced { .. }
            | Error::Absent { .. }
            | Error::ReadOnly
            | Error::Closed => false,
        }
    }
}

/// Refuses what no adapter takes, before anything is queued.
fn check_append(records: &[Record]) -> Result<(), Error> {
    let over = |what, max| Err(Error::TooLarge { what, max });
    if records.len() > APPEND_RECORDS_MAX {
        return over("an append's number of records", APPEND_RECORDS_MAX);
    }
    let mut bytes = 0;
    for record in records {
        let headers = &record.headers;
        let texts = [
            record.key.as_deref().unwrap_or_default(),
            &headers.ce_id,
            &headers.kinds,
            headers.traceparent.as_deref().unwrap_or_default(),
        ];
        if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return over("a key or header", TEXT_BYTES_MAX);
        }
        if record.value.len() > VALUE_BYTES_MAX {
            return over("a value", VALUE_BYTES_MAX);
        }
        bytes += record.value.len();
    }
    if bytes > APPEND_BYTES_MAX {
        return over("an append's values", APPEND_BYTES_MAX);
    }
    Ok(())
}
