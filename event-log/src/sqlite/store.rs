//! The statements: what is asked of the tables and how it is answered; knows no task and no queue.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Failure,
    block::{Block, Damaged, Raw},
    keys::{self, Newest, SEGMENT_ROWS, row_of, segment_of},
    writer::BLOCK_RECORDS_MAX,
};
use crate::{READ_BYTES_MAX, READ_RECORDS_MAX, Stored, Topic};

/// Where the partition stands in a position.
const PARTITION_SHIFT: u32 = 44;
/// Where the topic stands in a position.
const TOPIC_SHIFT: u32 = 60;
/// Offsets stay below this, 17 million million.
const OFFSET_LIMIT: i64 = 1 << PARTITION_SHIFT;
/// Partitions stay below this, so that a position holds them.
pub(super) const PARTITIONS_MAX: u32 = 1 << (TOPIC_SHIFT - PARTITION_SHIFT);
/// The bits of a segment's position that name the row.
const ROW_BITS: u32 = SEGMENT_ROWS.trailing_zeros();
/// The most rows one statement inserts; there is a prepared statement for each number up to it.
pub(super) const INSERT_ROWS_MAX: usize = 64;
/// The most blocks one statement reads: some 4 MB.
const SCAN_ROWS_MAX: usize = 64;
/// How many offsets one statement looks up: each may bring a whole block.
const LOOK_UPS_MAX: usize = 64;

/// One partition of one topic, as positions have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    base: i64,
}

impl Lane {
    pub fn of(topic: Topic, partition: u32) -> Lane {
        let topic = match topic {
            Topic::Ledger => 0,
            Topic::Market => 1,
        };
        Lane { base: (topic << TOPIC_SHIFT) | (i64::from(partition) << PARTITION_SHIFT) }
    }

    pub fn position(self, offset: u64) -> i64 {
        self.base | i64::try_from(offset).unwrap_or(i64::MAX).min(OFFSET_LIMIT - 1)
    }

    fn offset(self, position: i64) -> u64 {
        (position & (OFFSET_LIMIT - 1)).unsigned_abs()
    }

    fn last_position(self) -> i64 {
        self.base | (OFFSET_LIMIT - 1)
    }

    fn segment_position(self, segment: u64, row: u32) -> i64 {
        self.position(segment << ROW_BITS) | i64::from(row)
    }

    fn segment(self, position: i64) -> u64 {
        self.offset(position) >> ROW_BITS
    }
}

/// Runs a statement whose answer does not matter.
pub(super) async fn run(connection: &mut SqliteConnection, sql: String) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// The one number that a statement answers.
pub(super) async fn number(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

/// A row whose second column is read where it lies: a block is too large to be copied once more.
struct Blob(SqliteRow);

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.0.get(1)
    }
}

fn blob(row: SqliteRow) -> Bytes {
    Bytes::from_owner(Blob(row))
}

/// The offset past the last record of a partition.
pub(super) async fn end(connection: &mut SqliteConnection, lane: Lane) -> Result<u64, Failure> {
    let last = sqlx::query(
        "select position, records from blocks where position between ? and ?
         order by position desc limit 1",
    );
    let last = last.bind(lane.base).bind(lane.last_position());
    let Some(row) = last.fetch_optional(connection).await? else { return Ok(0) };
    let first = lane.offset(row.get(0));
    Ok(Block::open(first, blob(row))?.end())
}

/// Whether reading goes on after a record.
enum Onward {
    Yes,
    No,
}

/// Gives each record from `from` on to `take`, and checks that none is missing.
///
/// A statement asks for no more blocks than `wanted` records usually fill: the connection's thread reads ahead of
/// whoever takes its rows, and a block read for nobody costs as much as any other.
async fn scan(
    connection: &mut SqliteConnection,
    lane: Lane,
    from: u64,
    wanted: usize,
    mut take: impl FnMut(&Block, &Raw) -> Result<Onward, Damaged>,
) -> Result<(), Failure> {
    let (mut next, rows_max) = (from, (wanted / BLOCK_RECORDS_MAX + 2).min(SCAN_ROWS_MAX));
    loop {
        let before = next;
        // The block that holds the next record may begin before it.
        let blocks = sqlx::query(
            "select position, records from blocks
             where position >= coalesce(
                 (select max(position) from blocks where position between ?1 and ?2), ?1)
             and position <= ?3 order by position limit ?4",
        );
        let blocks = blocks.bind(lane.base).bind(lane.position(next)).bind(lane.last_position());
        let mut rows = blocks.bind(i64::try_from(rows_max).unwrap_or(i64::MAX)).fetch(&mut *connection);
        let mut blocks = 0;
        while let Some(row) = rows.try_next().await? {
            blocks += 1;
            let first = lane.offset(row.get(0));
            let mut block = Block::open(first, blob(row))?;
            if block.end() <= next {
                continue;
            }
            if first > next {
                return Err(Damaged("records are missing between two others").into());
            }
            let end = block.end();
            while let Some(raw) = block.next()? {
                if raw.offset >= next
                    && let Onward::No = take(&block, &raw)?
                {
                    return Ok(());
                }
            }
            next = end;
        }
        if blocks < rows_max || next == before {
            return Ok(());
        }
    }
}

/// Up to `max` records from `from` on, within the port's limits.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    lane: Lane,
    from: u64,
    max: usize,
) -> Result<Vec<Arc<Stored>>, Failure> {
    let max = max.min(READ_RECORDS_MAX);
    let mut records = Vec::with_capacity(max.min(1024));
    if max == 0 {
        return Ok(records);
    }
    let mut bytes = 0;
    scan(connection, lane, from, max, |block, raw| {
        let stored = block.record(raw)?;
        bytes += stored.record.value.len();
        records.push(Arc::new(stored));
        let full = records.len() >= max || bytes >= READ_BYTES_MAX;
        Ok(if full { Onward::No } else { Onward::Yes })
    })
    .await?;
    Ok(records)
}

/// The records at these ascending offsets, within the port's limits.
pub(super) async fn read_at(
    connection: &mut SqliteConnection,
    lane: Lane,
    offsets: &[u64],
) -> Result<Vec<Arc<Stored>>, Failure> {
    let mut records = Vec::new();
    let mut bytes = 0;
    let offsets = &offsets[..offsets.len().min(READ_RECORDS_MAX)];
    for some in offsets.chunks(LOOK_UPS_MAX) {
        let wanted: Vec<_> = some.iter().map(|offset| lane.position(*offset).to_string()).collect();
        let blocks = sqlx::query(
            "select position, records from blocks where position in
                 (select (select max(position) from blocks where position between ? and value)
                  from json_each(?))
             order by position",
        );
        let blocks = blocks.bind(lane.base).bind(format!("[{}]", wanted.join(",")));
        let mut left = some.iter().copied().peekable();
        for row in blocks.fetch_all(&mut *connection).await? {
            let first = lane.offset(row.get(0));
            let mut block = Block::open(first, blob(row))?;
            while let Some(raw) = block.next()? {
                let Some(_) = left.next_if(|offset| *offset == raw.offset) else { continue };
                let mut stored = block.record(&raw)?;
                // One record must not hold the memory of its whole block.
                stored.record.value = Bytes::copy_from_slice(&stored.record.value);
                bytes += stored.record.value.len();
                records.push(Arc::new(stored));
                if bytes >= READ_BYTES_MAX {
                    return Ok(records);
                }
            }
        }
    }
    Ok(records)
}

/// Adds the keys of all records that follow those already in `newest`.
pub(super) async fn add_keys(
    connection: &mut SqliteConnection,
    lane: Lane,
    newest: &mut Newest,
) -> Result<(), Failure> {
    scan(connection, lane, newest.next(), READ_RECORDS_MAX, |block, raw| {
        newest.add(block.key(raw)?);
        Ok(Onward::Yes)
    })
    .await
}

/// The first segment of keys that is not written.
pub(super) async fn first_segment_to_write(connection: &mut SqliteConnection, lane: Lane) -> Result<u64, Failure> {
    let last = sqlx::query_scalar("select max(position) from key_segments where position between ? and ?");
    let last: Option<i64> = last.bind(lane.base).bind(lane.last_position()).fetch_one(connection).await?;
    Ok(last.map_or(0, |position| lane.segment(position) + 1))
}

/// The offsets of a key in written segments, from `from` on and before segment `before`.
pub(super) async fn offsets_of(
    connection: &mut SqliteConnection,
    lane: Lane,
    key: &str,
    from: u64,
    before: u64,
    max: usize,
) -> Result<Vec<u64>, Failure> {
    let mut found = Vec::new();
    let first = segment_of(from);
    if first >= before || max == 0 {
        return Ok(found);
    }
    // A look-up by position for each segment; the key is in the same row of every one.
    let rows = sqlx::query(
        "with recursive wanted(position) as (
             values (?1) union all select position + ?3 from wanted where position + ?3 < ?2)
         select position, keys from wanted join key_segments using (position)",
    );
    let rows = rows
        .bind(lane.segment_position(first, row_of(key)))
        .bind(lane.segment_position(before, 0))
        .bind(i64::from(SEGMENT_ROWS));
    let mut rows = rows.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let segment = lane.segment(row.get(0));
        let offsets = keys::offsets_in_row(row.get(1), segment, key)?;
        let wanted = offsets.into_iter().filter(|offset| *offset >= from);
        found.extend(wanted.take(max - found.len()));
        if found.len() >= max {
            break;
        }
    }
    Ok(found)
}

/// Rows to be inserted together, or none of them.
pub(super) type Rows = Vec<(i64, Vec<u8>)>;

/// Inserts runs of records; durable when it returns. A position that is taken fails it.
pub(super) async fn insert_blocks(connection: &mut SqliteConnection, mut rows: Rows) -> Result<(), Failure> {
    if rows.len() <= INSERT_ROWS_MAX {
        // A statement alone is a transaction: one trip to the connection's thread, not three.
        return insert(connection, "insert into blocks (position, records) values ", rows).await;
    }
    run(connection, "begin immediate".to_owned()).await?;
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(INSERT_ROWS_MAX));
        insert(connection, "insert into blocks (position, records) values ", rows).await?;
        rows = rest;
    }
    run(connection, "commit".to_owned()).await
}

/// Writes a full segment of keys. Its rows follow from the log, so those already there are right.
pub(super) async fn insert_segment(
    connection: &mut SqliteConnection,
    lane: Lane,
    segment: u64,
    rows: Vec<Vec<u8>>,
) -> Result<(), Failure> {
    let position = |row| lane.segment_position(segment, row);
    let rows = (0..).zip(rows).map(|(row, keys)| (position(row), keys)).collect();
    insert(connection, "insert or ignore into key_segments (position, keys) values ", rows).await
}

async fn insert(connection: &mut SqliteConnection, statement: &'static str, rows: Rows) -> Result<(), Failure> {
    let mut sql = String::with_capacity(statement.len() + 6 * rows.len());
    sql.push_str(statement);
    sql.push_str("(?,?)");
    for _ in 1..rows.len() {
        sql.push_str(",(?,?)");
    }
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (position, blob) in rows {
        query = query.bind(position).bind(blob);
    }
    query.execute(connection).await?;
    Ok(())
}
