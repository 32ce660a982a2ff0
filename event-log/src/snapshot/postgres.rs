//! Snapshots in PostgreSQL, for readers that move from machine to machine; knows nothing of what is in them.
//!
//! A save is one transaction that stands on the offset it expects, so two readers of one partition cannot mix theirs.
//! What is saved by the readers of one log is not seen by those of another, though both use one database. Each row
//! has a checksum, as a database is repaired and copied by hand more often than a file.

mod keys;
mod rows;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use sqlx::{
    PgConnection, Row,
    postgres::{PgQueryResult, PgRow},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Due, Item, Known, Place, Save, SnapshotStore, State, check_look_up, check_save};
use crate::{BoxFuture, Error, postgres::Database, rule::Reader};

/// How many rows are deleted at once of a place that is forgotten: well within a statement's time.
const DELETE_ROWS: i64 = 20_000;

/// The snapshots of one log in a database.
#[derive(Clone)]
pub struct Postgres {
    database: Database,
    log: Box<str>,
    /// Held while rows are deleted: one place at a time, as nobody waits for that.
    deleting: Arc<Mutex<()>>,
}

/// What stops a piece of work.
enum Failure {
    Sql(sqlx::Error),
    /// A row is not what was saved.
    Damaged(&'static str),
    /// Another save was there: the snapshot ends here.
    NotTheEnd(u64),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Sql(error)
    }
}

impl Postgres {
    /// The snapshots of the log whose commands have this identity.
    pub fn new(database: Database, log: Uuid) -> Postgres {
        Postgres { database, log: log.to_string().into(), deleting: Arc::default() }
    }

    async fn answer<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Error> {
        let worked = self.database.answer(async {
            match work.await {
                Err(Failure::Sql(error)) => Err(error),
                done => Ok(done),
            }
        });
        match worked.await? {
            Ok(answer) => Ok(answer),
            Err(Failure::Sql(error)) => Err(self.database.error(&error)),
            Err(Failure::NotTheEnd(end)) => Err(Error::NotTheEnd { end }),
            Err(Failure::Damaged(what)) => Err(Error::Snapshot {
                path: self.database.at().into(),
                reason: format!("{what} is not what was saved"),
            }),
        }
    }

    async fn write(&self, place: Place, save: Save) -> Result<(), Failure> {
        let mut transaction = self.database.pool().begin().await?;
        let id = self.hold(&mut transaction, place, save.onto).await?;
        rows::remove(&mut transaction, id, &save.removed).await?;
        rows::put(&mut transaction, id, &save.items).await?;
        keys::add(&mut transaction, id, save.known).await?;
        self.put_state(&mut transaction, id, place, &save.state).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The place's id, kept from other saves until the transaction ends.
    async fn hold(&self, connection: &mut PgConnection, place: Place, onto: u64) -> Result<i64, Failure> {
        const FIND: &str = "select place_id, state_offset from snapshot_places
                            where log = $1 and name = $2 and not forgotten for update";
        let end = |row: PgRow| (row.get::<i64, _>(0), row.get::<i64, _>(1).cast_unsigned());
        let find = sqlx::query(FIND).bind(&*self.log).bind(name(place));
        let mut found = find.fetch_optional(&mut *connection).await?.map(end);
        if found.is_none() && onto == 0 {
            let insert = sqlx::query(
                "insert into snapshot_places (log, name, state_offset, term, writer, last, version, state, checksum)
                 values ($1, $2, 0, 0, '', -1, '', '', 0)
                 on conflict (log, name) where not forgotten do nothing returning place_id, state_offset",
            );
            found = insert.bind(&*self.log).bind(name(place)).fetch_optional(&mut *connection).await?.map(end);
        }
        if found.is_none() {
            // Another save made it meanwhile.
            let find = sqlx::query(FIND).bind(&*self.log).bind(name(place));
            found = find.fetch_optional(connection).await?.map(end);
        }
        match found {
            Some((id, end)) if end == onto => Ok(id),
            other => Err(Failure::NotTheEnd(other.map_or(0, |(_, end)| end))),
        }
    }

    async fn put_state(
        &self,
        connection: &mut PgConnection,
        id: i64,
        place: Place,
        state: &State,
    ) -> Result<(), Failure> {
        let put = sqlx::query(
            "update snapshot_places set state_offset = $2, term = $3, writer = $4, last = $5, version = $6, state = $7,
             checksum = $8 where place_id = $1",
        );
        let put = put.bind(id).bind(state.reader.offset.cast_signed()).bind(state.reader.term.cast_signed());
        let put = put.bind(state.reader.writer.to_le_bytes()).bind(state.reader.last).bind(&*state.version);
        put.bind(&*state.blob).bind(state_checksum(&name(place), state)).execute(connection).await?;
        Ok(())
    }

    async fn read_state(&self, place: Place) -> Result<Option<State>, Failure> {
        let find = sqlx::query(
            "select state_offset, term, writer, last, version, state, checksum from snapshot_places
             where log = $1 and name = $2 and not forgotten",
        );
        let found = find.bind(&*self.log).bind(name(place)).fetch_optional(self.database.pool()).await?;
        let Some(row) = found else { return Ok(None) };
        let writer: [u8; 16] = row.get::<Vec<u8>, _>(2).try_into().map_err(|_| Failure::Damaged("a writer"))?;
        let state = State {
            reader: Reader {
                offset: row.get::<i64, _>(0).cast_unsigned(),
                term: row.get::<i64, _>(1).cast_unsigned(),
                writer: u128::from_le_bytes(writer),
                last: row.get(3),
            },
            version: row.get::<String, _>(4).into(),
            blob: row.get::<Vec<u8>, _>(5).into(),
        };
        if row.get::<i64, _>(6) != state_checksum(&name(place), &state) {
            return Err(Failure::Damaged("a state"));
        }
        Ok(Some(state))
    }

    /// From now on nothing of the place is found.
    async fn hide(&self, place: Place) -> Result<u64, Failure> {
        let hide =
            sqlx::query("update snapshot_places set forgotten = true where log = $1 and name = $2 and not forgotten");
        done(hide.bind(&*self.log).bind(name(place)).execute(self.database.pool())).await
    }

    /// Deletes what was forgotten of a place, piece by piece: also what an earlier process could not delete.
    async fn delete(self, place: Place) {
        let _one = self.deleting.lock().await;
        if let Err(error) = self.delete_forgotten(place).await {
            tracing::warn!(%error, "rows of a forgotten snapshot are not deleted; they are when it is forgotten again");
        }
    }

    async fn delete_forgotten(&self, place: Place) -> Result<(), Error> {
        let pool = self.database.pool();
        let all = sqlx::query_scalar("select place_id from snapshot_places where log = $1 and name = $2 and forgotten");
        let all = all.bind(&*self.log).bind(name(place)).fetch_all(pool);
        let forgotten: Vec<i64> = self.answer(async { Ok(all.await?) }).await?;
        for id in forgotten {
            for sql in [
                "delete from snapshot_items where place_id = $1 and key in
                 (select key from snapshot_items where place_id = $1 limit $2)",
                "delete from snapshot_keys where place_id = $1 and key in
                 (select key from snapshot_keys where place_id = $1 limit $2)",
            ] {
                let piece = || done(sqlx::query(sql).bind(id).bind(DELETE_ROWS).execute(pool));
                while self.answer(piece()).await? > 0 {}
            }
            let empty = sqlx::query("delete from snapshot_places where place_id = $1").bind(id).execute(pool);
            self.answer(done(empty)).await?;
        }
        Ok(())
    }

    /// The id of a place, for reading; absent when nothing is saved there.
    async fn place(&self, connection: &mut PgConnection, place: Place) -> Result<Option<i64>, Failure> {
        let find =
            sqlx::query_scalar("select place_id from snapshot_places where log = $1 and name = $2 and not forgotten");
        Ok(find.bind(&*self.log).bind(name(place)).fetch_optional(connection).await?)
    }
}

impl SnapshotStore for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>> {
        self.answer(self.read_state(place)).boxed()
    }

    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            check_save(&save)?;
            self.answer(self.write(place, save)).await
        }
        .boxed()
    }

    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            let read = async {
                let mut connection = self.database.pool().acquire().await?;
                let Some(id) = self.place(&mut connection, place).await? else { return Ok(vec![None; keys.len()]) };
                rows::find(&mut connection, id, &keys).await
            };
            self.answer(read).await
        }
        .boxed()
    }

    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        let read = async move {
            let mut connection = self.database.pool().acquire().await?;
            let Some(id) = self.place(&mut connection, place).await? else { return Ok(Vec::new()) };
            rows::page(&mut connection, id, after.as_deref(), max).await
        };
        self.answer(read).boxed()
    }

    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>> {
        let read = async move {
            let mut connection = self.database.pool().acquire().await?;
            let Some(id) = self.place(&mut connection, place).await? else { return Ok(Vec::new()) };
            rows::due(&mut connection, id, after, max).await
        };
        self.answer(read).boxed()
    }

    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            let read = async {
                let mut connection = self.database.pool().acquire().await?;
                let Some(id) = self.place(&mut connection, place).await? else { return Ok(vec![None; keys.len()]) };
                keys::find(&mut connection, id, &keys).await
            };
            self.answer(read).await
        }
        .boxed()
    }

    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>> {
        let read = async move {
            let mut connection = self.database.pool().acquire().await?;
            let Some(id) = self.place(&mut connection, place).await? else { return Ok(Vec::new()) };
            keys::beginning(&mut connection, id, first).await
        };
        self.answer(read).boxed()
    }

    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.answer(self.hide(place)).await?;
            // Whoever begins anew does not wait for that: it takes as long as there are rows.
            tokio::spawn(self.clone().delete(place));
            Ok(())
        }
        .boxed()
    }
}

/// How many rows a statement was about.
async fn done(statement: impl Future<Output = sqlx::Result<PgQueryResult>>) -> Result<u64, Failure> {
    Ok(statement.await?.rows_affected())
}

/// A place's name in the table.
fn name(place: Place) -> String {
    format!("{}/{}/{}", place.reader, place.topic, place.partition)
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

fn state_checksum(name: &str, state: &State) -> i64 {
    let Reader { offset, term, writer, last } = state.reader;
    let numbers = [&offset.to_le_bytes()[..], &term.to_le_bytes(), &writer.to_le_bytes(), &last.to_le_bytes()];
    checksum(&[name.as_bytes(), &numbers.concat(), state.version.as_bytes(), &state.blob])
}

#[cfg(test)]
mod tests;
