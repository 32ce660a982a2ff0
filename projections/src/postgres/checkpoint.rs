//! How far a partition is folded into the database, and which views stopped before; moved only by who stands on it.

use crate::view::{Stop, View};
use domain::time::Timestamp;
use event_log::{Topic, rule::Reader};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::columns::time_of;

/// A partition as the database has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) reader: Reader,
    /// When the last record below it was recorded.
    pub(super) recorded_at: Option<Timestamp>,
    pub(super) stops: Vec<Stopped>,
    /// Of which tables.
    pub(super) generation: i64,
}

/// A stop, and when the entry was recorded at which it is.
#[derive(Clone, Debug)]
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) recorded_at: Timestamp,
}

/// Where a partition stands; at its beginning, where nothing is said about it.
pub(super) async fn load(
    connection: &mut PgConnection,
    topic: Topic,
    partition: u32,
) -> Result<Checkpoint, sqlx::Error> {
    let find = sqlx::query(
        "select next_offset, term, writer, last, recorded_at, generation from checkpoints where topic = $1 and partition = $2",
    );
    let found = find.bind(topic.name()).bind(partition.cast_signed()).fetch_optional(&mut *connection).await?;
    let stops = stops(connection).await?;
    let here = |of: &Stopped| (of.stop.view.topic(), of.stop.partition) == (topic, partition);
    let stops = stops.into_iter().filter(here).collect();
    let Some(row) = found else { return Ok(Checkpoint { stops, ..Checkpoint::default() }) };
    let recorded_at = row.try_get::<Option<time::OffsetDateTime>, _>("recorded_at")?.map(timestamp);
    Ok(Checkpoint { reader: reader(&row)?, recorded_at, stops, generation: row.try_get("generation")? })
}

/// Of which tables a partition is; nothing, where nothing is said about it yet.
pub(super) async fn generation(
    connection: &mut PgConnection,
    (topic, partition): (Topic, u32),
) -> Result<Option<i64>, sqlx::Error> {
    let find = sqlx::query_scalar("select generation from checkpoints where topic = $1 and partition = $2");
    find.bind(topic.name()).bind(partition.cast_signed()).fetch_optional(connection).await
}

/// The reader's state in a row of `checkpoints`.
pub(super) fn reader(row: &PgRow) -> Result<Reader, sqlx::Error> {
    let writer: Vec<u8> = row.try_get("writer")?;
    let writer = <[u8; 16]>::try_from(writer).map_err(|_| sqlx::Error::Decode("a writer is not 16 bytes".into()))?;
    Ok(Reader {
        offset: row.try_get::<i64, _>("next_offset")?.cast_unsigned(),
        term: row.try_get::<i64, _>("term")?.cast_unsigned(),
        writer: u128::from_le_bytes(writer),
        last: row.try_get("last")?,
    })
}

/// Every stop there is.
pub(super) async fn stops(connection: &mut PgConnection) -> Result<Vec<Stopped>, sqlx::Error> {
    let all = "select view, partition, entry_offset, reason, recorded_at from view_stops order by view, partition";
    let rows = sqlx::query(all).fetch_all(connection).await?;
    rows.iter().filter_map(|row| stopped(row).transpose()).collect()
}

/// A view that this release does not know says nothing.
fn stopped(row: &PgRow) -> Result<Option<Stopped>, sqlx::Error> {
    let name: &str = row.try_get("view")?;
    let Some(view) = View::ALL.iter().find(|view| view.name() == name) else { return Ok(None) };
    let stop = Stop {
        view: *view,
        partition: row.try_get::<i32, _>("partition")?.cast_unsigned(),
        offset: row.try_get::<i64, _>("entry_offset")?.cast_unsigned(),
        reason: row.try_get::<String, _>("reason")?.into(),
    };
    Ok(Some(Stopped { stop, recorded_at: timestamp(row.try_get("recorded_at")?) }))
}

/// Says that a partition is at its beginning, where nothing is said about it yet.
pub(super) async fn begin(connection: &mut PgConnection, (topic, partition): (Topic, u32)) -> Result<(), sqlx::Error> {
    let Reader { offset, term, writer, last } = Reader::default();
    let insert = sqlx::query(
        "insert into checkpoints (topic, partition, next_offset, term, writer, last) values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
    );
    let insert = insert.bind(topic.name()).bind(partition.cast_signed()).bind(offset.cast_signed());
    insert.bind(term.cast_signed()).bind(writer.to_le_bytes()).bind(last).execute(connection).await?;
    Ok(())
}

/// Moves a partition from where it is expected, and keeps others from moving it until the transaction ends; says
/// whether it was there, and over the tables that it was loaded from.
pub(super) async fn advance(
    connection: &mut PgConnection,
    (topic, partition): (Topic, u32),
    expected: u64,
    to: &Checkpoint,
) -> Result<bool, sqlx::Error> {
    let sql = match expected {
        // Whoever is first makes the row; a second waits here until the first has committed, and then does nothing.
        0 => {
            "insert into checkpoints (topic, partition, next_offset, term, writer, last, recorded_at)
             values ($1, $2, $4, $5, $6, $7, $8) on conflict (topic, partition) do update
             set next_offset = $4, term = $5, writer = $6, last = $7, recorded_at = $8
             where checkpoints.next_offset = $3 and checkpoints.generation = $9"
        }
        _ => {
            "update checkpoints set next_offset = $4, term = $5, writer = $6, last = $7, recorded_at = $8
             where topic = $1 and partition = $2 and next_offset = $3 and generation = $9"
        }
    };
    let Reader { offset, term, writer, last } = to.reader;
    let advance = sqlx::query(sql).bind(topic.name()).bind(partition.cast_signed()).bind(expected.cast_signed());
    let advance = advance.bind(offset.cast_signed()).bind(term.cast_signed()).bind(writer.to_le_bytes()).bind(last);
    let advanced = advance.bind(to.recorded_at.map(time_of)).bind(to.generation).execute(connection).await?;
    Ok(advanced.rows_affected() == 1)
}

/// Keeps that a view stopped; the first stop holds.
pub(super) async fn stop(connection: &mut PgConnection, stopped: &Stopped) -> Result<(), sqlx::Error> {
    let Stop { view, partition, offset, reason } = &stopped.stop;
    let insert = sqlx::query(
        "insert into view_stops (view, partition, entry_offset, reason, recorded_at) values ($1, $2, $3, $4, $5)
         on conflict (view, partition) do nothing",
    );
    let insert = insert.bind(view.name()).bind(partition.cast_signed()).bind(offset.cast_signed());
    let reason = reason.replace('\0', "\u{fffd}");
    insert.bind(reason).bind(time_of(stopped.recorded_at)).execute(connection).await?;
    Ok(())
}

/// A time as the code has it.
pub(super) fn timestamp(time: time::OffsetDateTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}
