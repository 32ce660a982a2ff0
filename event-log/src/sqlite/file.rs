//! The file and its folder: making it, recognising it, refusing what is not it; knows no records.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, Row, SqlSafeStr, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::{Failure, Mode, store};
use crate::Error;

/// The log's file in the data folder.
pub(super) const FILE_NAME: &str = "bahi.db";
/// Held by the one process that writes.
const LOCK_NAME: &str = "bahi.lock";
/// "Bahi" in ASCII: SQLite's mark for whose file this is.
const APPLICATION_ID: u32 = 0x4261_6869;
/// The latest format this release knows, kept as SQLite's `user_version`: its last migration.
const FORMAT: u32 = 1;
/// The first bytes of any SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of SQLite's own header.
const HEADER_BYTES: usize = 100;

/// Large enough that a run of records has few pages to chain, small enough that one durable order
/// writes little; measured in `docs/decisions/0002-sqlite-log-layout.md`.
pub(super) const PAGE_BYTES: u32 = 8192;
/// How many pages of the write-ahead log are gathered before a commit itself copies them into the file, which holds up
/// everything behind it: 64 MiB, reached only when copying beside the commits fell behind.
const CHECKPOINT_PAGES: u32 = (64 << 20) / PAGE_BYTES;
/// Copies what it can without waiting for anybody.
pub(super) const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";
/// What is left of the write-ahead log's file after it grew, as behind a backup.
const WAL_KEPT_BYTES: u32 = 128 << 20;
/// The page cache of the connection that writes; it needs only the ends of the tables.
const WRITER_CACHE_KIB: u32 = 8 << 10;
/// The page cache of each connection that reads.
const READER_CACHE_KIB: u32 = 4 << 10;
/// How long another connection is waited for; only a second process beside a broken lock makes one.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// What was fixed when the folder was made.
pub(super) struct Fixed {
    pub partitions: u32,
    pub commands_id: Uuid,
}

/// Where the log of a data folder is. What is only read may be named itself; a folder is needed to write, as a lock,
/// snapshots and a key are kept beside the log.
pub(super) fn path_in(dir: &Path, mode: Mode) -> Result<PathBuf, Error> {
    match (dir.is_file(), mode) {
        (false, _) => Ok(dir.join(FILE_NAME)),
        (true, Mode::ReadOnly) => Ok(dir.to_owned()),
        (true, Mode::Write) => Err(Error::Io {
            path: dir.to_owned(),
            reason: format!(
                "is a file, not a data folder; to serve a backup, copy it to {FILE_NAME} in a folder of its own"
            ),
        }),
    }
}

/// Takes the folder's lock for as long as the file lives.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_NAME);
    let io = |error: std::io::Error| Error::Io { path: path.clone(), reason: error.to_string() };
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Makes the file whole beside its place and moves it there, so that it is never found half made.
pub(super) async fn create(path: &Path, partitions: u32) -> Result<(), Error> {
    let new = path.with_extension("db.new");
    for left_over in ["db.new", "db.new-wal", "db.new-shm"] {
        match fs::remove_file(path.with_extension(left_over)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(path, &error)),
            _ => {}
        }
    }
    let failed = |failure: sqlx::Error| Failure::from(failure).into_error(path);
    let options = writing(&new).create_if_missing(true).page_size(PAGE_BYTES);
    let mut connection = options.connect().await.map_err(failed)?;
    migrate(&mut connection, path).await?;
    for (name, value) in [("partitions", partitions.to_string()), ("commands_id", Uuid::new_v4().to_string())] {
        let insert = sqlx::query("insert into meta (name, value) values (?, ?)");
        insert.bind(name).bind(value).execute(&mut connection).await.map_err(failed)?;
    }
    let stamp = format!("pragma application_id = {APPLICATION_ID}");
    store::run(&mut connection, stamp).await.map_err(|failure| failure.into_error(path))?;
    // Closing the last connection moves everything from the write-ahead log into the file.
    connection.close().await.map_err(failed)?;
    let made = File::open(&new).and_then(|file| file.sync_all());
    made.and_then(|()| fs::rename(&new, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new("."))))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io(path, &error))
}

/// Refuses a file that is not this product's, is of a later release or is cut short, by its first
/// bytes and its length alone.
pub(super) fn inspect(path: &Path) -> Result<(), Error> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Absent { path: path.to_owned() },
        _ => io(path, &error),
    })?;
    let length = file.metadata().map_err(|error| io(path, &error))?.len();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(|error| io(path, &error))?;
    let known = header.len().min(MAGIC.len());
    if header[..known] != MAGIC[..known] {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if header.len() < HEADER_BYTES {
        return Err(torn(path, format!("only {length} bytes are left of it")));
    }
    let number = |at: usize| header[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    if number(68) != APPLICATION_ID {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if number(60) > FORMAT {
        return Err(newer(path, number(60)));
    }
    // Pages that are still in the write-ahead log may be missing here.
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let in_wal = fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0);
    let page_bytes = match u64::from(number(16) >> 16) {
        1 => 65_536,
        bytes => bytes,
    };
    let expected = u64::from(number(28)) * page_bytes;
    if !in_wal && length < expected {
        return Err(torn(path, format!("{length} bytes are left of {expected}")));
    }
    Ok(())
}

/// Moves what a crash left in the write-ahead log into the file and checks that no page is missing.
pub(super) async fn settle(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let failed = |failure: Failure| failure.into_error(path);
    store::run(connection, CHECKPOINT.to_owned()).await.map_err(failed)?;
    let pages = store::number(connection, "pragma page_count").await.map_err(failed)?;
    let page_bytes = store::number(connection, "pragma page_size").await.map_err(failed)?;
    let length = fs::metadata(path).map_err(|error| io(path, &error))?.len();
    let expected = pages.unsigned_abs() * page_bytes.unsigned_abs();
    if length < expected {
        return Err(torn(path, format!("{length} bytes are left of {expected}")));
    }
    Ok(())
}

/// Copies the write-ahead log into the file as far as nobody reads what it would replace, beside the one who writes.
pub(super) async fn copy(path: &Path) -> Result<(), Failure> {
    let mut connection = writing(path).connect().await?;
    store::run(&mut connection, CHECKPOINT.to_owned()).await?;
    Ok(connection.close().await?)
}

/// Brings the tables to the format of this release, and refuses a later one.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    check_format(connection, path).await?;
    let first = include_str!("../../../migrations/sqlite/0001_log.sql");
    let log = Migration::new(1, "log".into(), MigrationType::Simple, first.into_sql_str(), false);
    Migrator::with_migrations(vec![log]).run(&mut *connection).await.map_err(|error| torn(path, error.to_string()))?;
    let stamp = format!("pragma user_version = {FORMAT}");
    store::run(connection, stamp).await.map_err(|failure| failure.into_error(path))
}

/// Refuses a file of a later format.
pub(super) async fn check_format(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let found = store::number(connection, "pragma user_version").await;
    match found.map_err(|failure| failure.into_error(path))? {
        found if found > i64::from(FORMAT) => Err(newer(path, found)),
        _ => Ok(()),
    }
}

/// Reads what was fixed when the folder was made.
pub(super) async fn fixed(connection: &mut SqliteConnection, path: &Path) -> Result<Fixed, Error> {
    let rows = sqlx::query("select name, value from meta").fetch_all(connection).await;
    let rows = rows.map_err(|failure| Failure::from(failure).into_error(path))?;
    let find = |name: &str| {
        let row = rows.iter().find(|row| row.get::<&str, _>(0) == name);
        row.map(|row| row.get::<String, _>(1)).unwrap_or_default()
    };
    let missing = |name| torn(path, format!("it does not say its {name}"));
    let partitions = find("partitions").parse().map_err(|_| missing("partitions"))?;
    let commands_id = find("commands_id").parse().map_err(|_| missing("commands_id"))?;
    Ok(Fixed { partitions, commands_id })
}

/// How the one writing connection opens the file.
pub(super) fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string())
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
}

/// How a reading connection opens the file; each statement is its own short transaction, so that
/// no reader holds a checkpoint up.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    common(path).read_only(true).pragma("cache_size", format!("-{READER_CACHE_KIB}"))
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_WAIT).foreign_keys(false).disable_statement_logging()
}

pub(super) fn torn(path: &Path, reason: String) -> Error {
    Error::Torn { path: path.to_owned(), reason }
}

fn newer(path: &Path, found: impl Into<i64>) -> Error {
    Error::Newer { path: path.to_owned(), found: found.into(), known: FORMAT.into() }
}

pub(super) fn io(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull => Error::Full,
        _ => Error::Io { path: PathBuf::from(path), reason: error.to_string() },
    }
}
