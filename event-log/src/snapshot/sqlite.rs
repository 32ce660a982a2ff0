//! Snapshots in one SQLite file beside the log; knows nothing of what is in them.
//!
//! A save is one transaction and is not waited for by the disk (`synchronous=NORMAL`): what a crash of the
//! machine takes away is folded from the log. A file that is torn, of a later release, of another log or not
//! this product's is put out of the way when it is opened, and each blob has a checksum.

mod file;
mod runs;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use parking_lot::Mutex;
use sqlx::{
    AssertSqlSafe, Connection, Row, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqlitePoolOptions,
};
use tokio::sync::RwLock;
use uuid::Uuid;

use self::runs::Run;
use super::{
    Due, Item, Known, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Place, Save, SnapshotStore, State, check_look_up, check_save,
};
use crate::{BoxFuture, Error, rule::Reader, sqlite::Failure};

/// The most connections that read at once: one for each of two readers that load, and a look-up beside them.
const READERS_MAX: u32 = 3;
/// How long a reader waits for a connection before it is told so.
const READER_WAIT: Duration = Duration::from_secs(30);
/// How many items one statement inserts.
const INSERT_ITEMS: usize = 16;
/// How many items one statement looks up.
const LOOK_UP_ITEMS: usize = 64;

/// The snapshots of a data folder.
pub struct Sqlite {
    path: PathBuf,
    writer: tokio::sync::Mutex<SqliteConnection>,
    readers: SqlitePool,
    /// The runs of each place that was asked for.
    runs: Mutex<HashMap<Place, Runs>>,
}

/// The runs of one place. Reading keeps the lock, so that no run is merged away under it.
type Runs = Arc<RwLock<Option<Vec<Run>>>>;

impl Sqlite {
    /// Opens the snapshots in the data folder, of the log whose commands have this identity.
    ///
    /// # Errors
    /// When the file can be neither opened nor made anew.
    pub async fn open(dir: &Path, log: Uuid) -> Result<Sqlite, Error> {
        let path = dir.join(file::FILE_NAME);
        let writer = file::open(&path, log).await?;
        let readers = SqlitePoolOptions::new()
            .min_connections(0)
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(file::reading(&path));
        Ok(Sqlite { path, writer: tokio::sync::Mutex::new(writer), readers, runs: Mutex::default() })
    }

    /// The file that holds the snapshots.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a save under way, and lets go of the file.
    pub async fn close(self) {
        self.readers.close().await;
        // What the last connection could not tidy up the next start does.
        drop(self.writer.into_inner().close().await);
    }

    async fn reader(&self) -> Result<PoolConnection<sqlx::Sqlite>, Failure> {
        match self.readers.acquire().await {
            Err(sqlx::Error::PoolClosed) => Err(Failure::Closed),
            acquired => Ok(acquired?),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        match failure.into_error(&self.path) {
            Error::Torn { path, reason } => Error::Snapshot { path, reason },
            other => other,
        }
    }

    fn runs_of(&self, place: Place) -> Runs {
        Arc::clone(self.runs.lock().entry(place).or_default())
    }

    async fn load_state(&self, place: Place) -> Result<Option<State>, Failure> {
        let mut reader = self.reader().await?;
        Ok(find_place(&mut reader, place).await?.map(|(_, state)| state))
    }

    async fn write(&self, place: Place, save: Save) -> Result<Result<(), Error>, Failure> {
        let runs = self.runs_of(place);
        let mut writer = self.writer.lock().await;
        let mut known = save.known;
        known.sort_unstable_by_key(|(key, _)| *key);
        let mut transaction = writer.begin_with("begin immediate").await?;
        let found = find_place(&mut transaction, place).await?;
        let end = found.as_ref().map_or(0, |(_, state)| state.reader.offset);
        if save.onto != end {
            return Ok(Err(Error::NotTheEnd { end }));
        }
        let id = put_place(&mut transaction, place, &save.state).await?;
        for key in &save.removed {
            let delete = sqlx::query("delete from items where place_id = ? and key = ?").bind(id).bind(&**key);
            delete.execute(&mut *transaction).await?;
        }
        let (many, few) = save.items.as_chunks::<INSERT_ITEMS>();
        for chunk in many {
            put_items(&mut transaction, id, chunk).await?;
        }
        for item in few {
            put_items(&mut transaction, id, std::slice::from_ref(item)).await?;
        }
        let before = match &*runs.read().await {
            Some(runs) => runs.clone(),
            None => runs::load(&mut transaction, id).await?,
        };
        let after = runs::add(&mut transaction, id, before, known).await?;
        let mut runs = runs.write().await;
        transaction.commit().await?;
        *runs = Some(after);
        Ok(Ok(()))
    }

    async fn read_items(&self, place: Place, keys: &[Box<str>]) -> Result<Vec<Option<Bytes>>, Failure> {
        let mut reader = self.reader().await?;
        let mut found: HashMap<String, Bytes> = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(LOOK_UP_ITEMS) {
            // Always as many, so that it is one prepared statement; what is null finds nothing.
            let marks = vec!["?"; LOOK_UP_ITEMS].join(",");
            let sql = format!(
                "select key, due, blob, checksum from items
                 where place_id = (select place_id from places where name = ?) and key in ({marks})"
            );
            let mut look_up = sqlx::query(AssertSqlSafe(sql)).bind(name(place));
            for at in 0..LOOK_UP_ITEMS {
                look_up = look_up.bind(chunk.get(at).map(|key| key.to_string()));
            }
            let mut rows = look_up.fetch(&mut *reader);
            while let Some(row) = rows.try_next().await? {
                let item = item_of(&row)?;
                found.insert(item.key.into(), item.blob);
            }
        }
        Ok(keys.iter().map(|key| found.get(&**key).cloned()).collect())
    }

    async fn read_page(&self, place: Place, after: Option<Box<str>>, max: usize) -> Result<Vec<Item>, Failure> {
        let mut reader = self.reader().await?;
        let page = sqlx::query(
            "select key, due, blob, checksum from items
             where place_id = (select place_id from places where name = ?) and (? is null or key > ?)
             order by key limit ?",
        );
        let after = after.map(String::from);
        let page = page.bind(name(place)).bind(after.clone()).bind(after).bind(limit(max));
        let mut rows = page.fetch(&mut *reader);
        let (mut items, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES_MAX
            && let Some(row) = rows.try_next().await?
        {
            let item = item_of(&row)?;
            bytes += item.blob.len();
            items.push(item);
        }
        Ok(items)
    }

    async fn read_due(&self, place: Place, after: Option<Due>, max: usize) -> Result<Vec<Due>, Failure> {
        let mut reader = self.reader().await?;
        let page = sqlx::query(
            "select due, key from items
             where place_id = (select place_id from places where name = ?1) and due is not null
             and (due, key) > (?2, ?3) order by due, key limit ?4",
        );
        // The empty key of the smallest number stands before all, as no key is empty.
        let (due, key) = after.unwrap_or((i64::MIN, Box::from("")));
        let page = page.bind(name(place)).bind(due).bind(String::from(key)).bind(limit(max));
        let rows = page.fetch_all(&mut *reader).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<String, _>(1).into())).collect())
    }

    /// Knows the runs of a place before any is read.
    async fn load_runs(&self, place: Place, runs: &Runs) -> Result<(), Failure> {
        if runs.read().await.is_none() {
            let mut load = runs.write().await;
            if load.is_none() {
                let mut reader = self.reader().await?;
                let id = find_place(&mut reader, place).await?.map(|(id, _)| id);
                *load = match id {
                    Some(id) => Some(runs::load(&mut reader, id).await?),
                    None => Some(Vec::new()),
                };
            }
        }
        Ok(())
    }

    async fn read_keys(&self, place: Place, first: u8) -> Result<Vec<[u8; 16]>, Failure> {
        let runs = self.runs_of(place);
        self.load_runs(place, &runs).await?;
        let runs = runs.read().await;
        runs::beginning(&mut *self.reader().await?, runs.as_deref().unwrap_or_default(), first).await
    }

    async fn read_known(&self, place: Place, keys: &[[u8; 16]]) -> Result<Vec<Option<Known>>, Failure> {
        let runs = self.runs_of(place);
        self.load_runs(place, &runs).await?;
        let runs = runs.read().await;
        let asked = runs::Asked::new(runs.as_deref().unwrap_or_default(), keys);
        if asked.is_answered() {
            return Ok(vec![None; keys.len()]);
        }
        asked.answer(&mut *self.reader().await?).await
    }

    async fn delete(&self, place: Place) -> Result<(), Failure> {
        let runs = self.runs_of(place);
        let mut writer = self.writer.lock().await;
        let mut runs = runs.write().await;
        let mut transaction = writer.begin_with("begin immediate").await?;
        let id: Option<i64> = sqlx::query_scalar("select place_id from places where name = ?")
            .bind(name(place))
            .fetch_optional(&mut *transaction)
            .await?;
        for sql in [
            "delete from run_rows where exists (select 1 from runs where place_id = ? and run_id = position >> 32)",
            "delete from runs where place_id = ?",
            "delete from items where place_id = ?",
            "delete from places where place_id = ?",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        *runs = Some(Vec::new());
        Ok(())
    }
}

impl SnapshotStore for Sqlite {
    fn is_shared(&self) -> bool {
        false
    }

    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>> {
        async move { self.load_state(place).await.map_err(|failure| self.error(failure)) }.boxed()
    }

    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            check_save(&save)?;
            self.write(place, save).await.map_err(|failure| self.error(failure))?
        }
        .boxed()
    }

    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            self.read_items(place, &keys).await.map_err(|failure| self.error(failure))
        }
        .boxed()
    }

    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        async move { self.read_page(place, after, max).await.map_err(|failure| self.error(failure)) }.boxed()
    }

    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>> {
        async move { self.read_due(place, after, max).await.map_err(|failure| self.error(failure)) }.boxed()
    }

    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            self.read_known(place, &keys).await.map_err(|failure| self.error(failure))
        }
        .boxed()
    }

    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>> {
        async move { self.read_keys(place, first).await.map_err(|failure| self.error(failure)) }.boxed()
    }

    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.delete(place).await.map_err(|failure| self.error(failure)) }.boxed()
    }
}

/// A place's name in the file.
fn name(place: Place) -> String {
    format!("{}/{}/{}", place.reader, place.topic, place.partition)
}

fn limit(max: usize) -> i64 {
    i64::try_from(max.min(PAGE_ITEMS_MAX)).unwrap_or(i64::MAX)
}

/// The checksum of parts, with their lengths.
fn checksum(parts: &[&[u8]]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&part.len().to_le_bytes());
        hasher.update(part);
    }
    i64::from(hasher.finalize())
}

fn damaged(what: &str) -> Failure {
    Failure::Damaged(format!("{what} is not what was saved"))
}

fn state_checksum(name: &str, state: &State) -> i64 {
    let Reader { offset, term, writer, last } = state.reader;
    let numbers = [&offset.to_le_bytes()[..], &term.to_le_bytes(), &writer.to_le_bytes(), &last.to_le_bytes()];
    checksum(&[name.as_bytes(), &numbers.concat(), state.version.as_bytes(), &state.blob])
}

/// A place's id and state.
async fn find_place(connection: &mut SqliteConnection, place: Place) -> Result<Option<(i64, State)>, Failure> {
    let find = sqlx::query(
        "select place_id, state_offset, term, writer, last, version, state, checksum from places where name = ?",
    );
    let Some(row) = find.bind(name(place)).fetch_optional(connection).await? else { return Ok(None) };
    let writer: [u8; 16] = row.get::<Vec<u8>, _>(3).try_into().map_err(|_| damaged("a writer"))?;
    let state = State {
        reader: Reader {
            offset: row.get::<i64, _>(1).cast_unsigned(),
            term: row.get::<i64, _>(2).cast_unsigned(),
            writer: u128::from_le_bytes(writer),
            last: row.get(4),
        },
        version: row.get::<String, _>(5).into(),
        blob: row.get::<Vec<u8>, _>(6).into(),
    };
    if row.get::<i64, _>(7) != state_checksum(&name(place), &state) {
        return Err(damaged("a state"));
    }
    Ok(Some((row.get(0), state)))
}

async fn put_place(connection: &mut SqliteConnection, place: Place, state: &State) -> Result<i64, Failure> {
    let put = sqlx::query_scalar(
        "insert into places (name, state_offset, term, writer, last, version, state, checksum)
         values (?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (name) do update set state_offset = excluded.state_offset, term = excluded.term,
             writer = excluded.writer, last = excluded.last, version = excluded.version,
             state = excluded.state, checksum = excluded.checksum
         returning place_id",
    );
    let put = put.bind(name(place)).bind(state.reader.offset.cast_signed()).bind(state.reader.term.cast_signed());
    let put = put.bind(state.reader.writer.to_le_bytes().to_vec()).bind(state.reader.last);
    let put = put.bind(state.version.to_string()).bind(state.blob.to_vec());
    Ok(put.bind(state_checksum(&name(place), state)).fetch_one(connection).await?)
}

fn item_checksum(key: &str, due: Option<i64>, blob: &[u8]) -> i64 {
    let due = due.map(i64::to_le_bytes);
    checksum(&[key.as_bytes(), due.as_ref().map_or(&[], |due| &due[..]), blob])
}

async fn put_items(connection: &mut SqliteConnection, place: i64, items: &[Item]) -> Result<(), Failure> {
    let values = vec!["(?, ?, ?, ?, ?)"; items.len()].join(", ");
    let sql = format!(
        "insert into items (place_id, key, due, blob, checksum) values {values}
         on conflict (place_id, key) do update set due = excluded.due, blob = excluded.blob, checksum = excluded.checksum"
    );
    let mut put = sqlx::query(AssertSqlSafe(sql));
    for Item { key, due, blob } in items {
        let checksum = item_checksum(key, *due, blob);
        put = put.bind(place).bind(key.to_string()).bind(*due).bind(blob.to_vec()).bind(checksum);
    }
    put.execute(connection).await?;
    Ok(())
}

/// An item as its row holds it, checked.
fn item_of(row: &sqlx::sqlite::SqliteRow) -> Result<Item, Failure> {
    let item = Item { key: row.get::<String, _>(0).into(), due: row.get(1), blob: row.get::<Vec<u8>, _>(2).into() };
    let whole = row.get::<i64, _>(3) == item_checksum(&item.key, item.due, &item.blob);
    whole.then_some(item).ok_or_else(|| damaged("an item"))
}

#[cfg(test)]
mod tests;
