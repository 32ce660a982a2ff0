//! The file: making it, recognising it, and putting out of the way what is not it; knows no snapshot.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqlSafeStr, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use crate::{Error, sqlite::Failure};

/// The snapshots' file in the data folder.
pub(super) const FILE_NAME: &str = "snapshots.db";
/// "Bahs" in ASCII: SQLite's mark for whose file this is.
const APPLICATION_ID: i64 = 0x4261_6873;
/// The format this release knows, kept as SQLite's `user_version`: its last migration.
const FORMAT: i64 = 1;
/// As the log's: runs of keys and large books have few pages to chain.
const PAGE_BYTES: u32 = 8192;
/// How many pages of the write-ahead log are gathered before they are copied into the file: 32 MiB.
const CHECKPOINT_PAGES: u32 = (32 << 20) / PAGE_BYTES;
/// What is left of the write-ahead log's file after a large save.
const WAL_KEPT_BYTES: u32 = 64 << 20;
/// The page cache of the connection that saves: items change all over the file.
const WRITER_CACHE_KIB: u32 = 16 << 10;
/// The page cache of each connection that reads.
const READER_CACHE_KIB: u32 = 4 << 10;
/// How long another connection is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// The connection that saves, to a file that is ours, whole, of this release and of this log: made anew if it was not.
pub(super) async fn open(path: &Path, log: Uuid) -> Result<SqliteConnection, Error> {
    if !path.exists() {
        return create(path, log).await;
    }
    let reason = match recognised(path, log).await {
        Ok(connection) => return Ok(connection),
        Err(reason) => reason,
    };
    tracing::warn!(file = %path.display(), reason, "snapshots are set aside; the log is folded again");
    for ending in ["", "-wal", "-shm"] {
        let from = beside(path, ending);
        match fs::rename(&from, beside(path, &format!(".aside{ending}"))) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::Io { path: from, reason: error.to_string() });
            }
            _ => {}
        }
    }
    create(path, log).await
}

async fn create(path: &Path, log: Uuid) -> Result<SqliteConnection, Error> {
    let failed = |failure: sqlx::Error| Failure::from(failure).into_error(path);
    let mut connection = writing(path).create_if_missing(true).page_size(PAGE_BYTES).connect().await.map_err(failed)?;
    let first = include_str!("../../../../migrations/snapshots/0001_snapshots.sql");
    let first = Migration::new(1, "snapshots".into(), MigrationType::Simple, first.into_sql_str(), false);
    let migrated = Migrator::with_migrations(vec![first]).run(&mut connection).await;
    migrated.map_err(|error| Error::Io { path: path.to_owned(), reason: error.to_string() })?;
    let insert = sqlx::query("insert into meta (name, value) values ('log', ?)").bind(log.to_string());
    insert.execute(&mut connection).await.map_err(failed)?;
    // Last, so that a file that was not made to its end is not recognised.
    let stamp = format!("pragma application_id = {APPLICATION_ID}; pragma user_version = {FORMAT}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut connection).await.map_err(failed)?;
    Ok(connection)
}

/// The connection, or in words why the file is not to be believed.
async fn recognised(path: &Path, log: Uuid) -> Result<SqliteConnection, String> {
    let mut connection = writing(path).connect().await.map_err(|error| error.to_string())?;
    match checked(&mut connection, path, log).await {
        Ok(None) => Ok(connection),
        Ok(Some(reason)) => {
            drop(connection.close().await);
            Err(reason)
        }
        Err(error) => {
            drop(connection.close().await);
            Err(error.to_string())
        }
    }
}

async fn checked(connection: &mut SqliteConnection, path: &Path, log: Uuid) -> Result<Option<String>, sqlx::Error> {
    let mut number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await;
    if number("pragma application_id").await? != APPLICATION_ID {
        return Ok(Some("not Bahi's snapshots".to_owned()));
    }
    let format = number("pragma user_version").await?;
    if format != FORMAT {
        return Ok(Some(format!("of format {format}; this release knows {FORMAT}")));
    }
    sqlx::query("pragma wal_checkpoint(passive)").execute(&mut *connection).await?;
    let mut number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await;
    let expected = number("pragma page_count").await? * number("pragma page_size").await?;
    let length = fs::metadata(path).map_err(sqlx::Error::Io)?.len();
    if length < expected.unsigned_abs() {
        return Ok(Some(format!("{length} bytes are left of {expected}")));
    }
    let of: String = sqlx::query_scalar("select value from meta where name = 'log'").fetch_one(connection).await?;
    Ok((of != log.to_string()).then(|| "of another log".to_owned()))
}

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string())
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
}

/// How a reading connection opens the file.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    common(path).read_only(true).pragma("cache_size", format!("-{READER_CACHE_KIB}"))
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_WAIT).foreign_keys(false).disable_statement_logging()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
