//! Remembered keys in sorted runs: written once each, in order, and merged as they become many; knows no place by name.
//!
//! Keys are hashes, so a B-tree of them would dirty a page for almost each: a save of a hundred thousand would
//! rewrite the whole index. Here a save adds one run, and runs of like size are merged, so that there are about
//! as many as the keys have binary digits over a save's, and each key is written about as often.

use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::{checksum, damaged};
use crate::{
    snapshot::{Known, filter::Filter},
    sqlite::Failure,
};

/// A key, the content's hash and an offset.
const ENTRY_BYTES: usize = 40;
/// About how many keys a row holds: a look-up reads some 10 KiB.
const ROW_KEYS: usize = 256;
/// Bits of the first part of a key that is merged at once, so that merging holds little.
const CHUNK_BITS: u32 = 8;
const ROW_BITS_MAX: u32 = 24;
/// Where a run's number stands in the position of a row.
const RUN_SHIFT: u32 = 32;
/// How many rows one statement looks up.
const LOOK_UP_ROWS: usize = 64;

/// A run as it is known in memory.
#[derive(Debug, Clone)]
pub(super) struct Run {
    id: i64,
    keys: usize,
    row_bits: u32,
    filter: Arc<Filter>,
}

type Entry = ([u8; 16], Known);

impl Run {
    fn position(&self, row: u32) -> i64 {
        (self.id << RUN_SHIFT) | i64::from(row)
    }

    fn row_of(&self, key: &[u8; 16]) -> u32 {
        first_bits(key, self.row_bits)
    }
}

/// The first bits of a key, at most 32.
fn first_bits(key: &[u8; 16], bits: u32) -> u32 {
    let [a, b, c, d, ..] = *key;
    u32::from_be_bytes([a, b, c, d]) >> (u32::BITS - bits)
}

/// The runs of a place, oldest first.
pub(super) async fn load(connection: &mut SqliteConnection, place: i64) -> Result<Vec<Run>, Failure> {
    let all =
        sqlx::query("select run_id, keys, row_bits, filter, checksum from runs where place_id = ? order by run_id");
    let mut rows = all.bind(place).fetch(connection);
    let mut runs = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let (id, keys, row_bits): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let filter: Vec<u8> = row.get(3);
        if row.get::<i64, _>(4) != run_checksum(id, keys, row_bits, &filter) {
            return Err(damaged("a run of keys"));
        }
        let row_bits = u32::try_from(row_bits).ok().filter(|bits| (CHUNK_BITS..=ROW_BITS_MAX).contains(bits));
        let run = || {
            let filter = Arc::new(Filter::of_bytes(&filter)?);
            Some(Run { id, keys: usize::try_from(keys).ok()?, row_bits: row_bits?, filter })
        };
        runs.push(run().ok_or_else(|| damaged("a run of keys"))?);
    }
    Ok(runs)
}

fn run_checksum(id: i64, keys: i64, row_bits: i64, filter: &[u8]) -> i64 {
    checksum(&[&id.to_le_bytes(), &keys.to_le_bytes(), &row_bits.to_le_bytes(), filter])
}

/// The keys of these runs that begin with this byte.
pub(super) async fn beginning(
    connection: &mut SqliteConnection,
    runs: &[Run],
    first: u8,
) -> Result<Vec<[u8; 16]>, Failure> {
    let mut entries = Vec::new();
    for run in runs {
        read_chunk(connection, run, u32::from(first), &mut entries).await?;
    }
    Ok(entries.into_iter().map(|(key, _)| key).collect())
}

/// Adds sorted keys as a run, merged with those before it that are not larger than all after them.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    place: i64,
    mut runs: Vec<Run>,
    new: Vec<Entry>,
) -> Result<Vec<Run>, Failure> {
    if new.is_empty() {
        return Ok(runs);
    }
    let mut keys = new.len();
    let mut merged = Vec::new();
    while let Some(last) = runs.pop_if(|last| last.keys <= keys) {
        keys += last.keys;
        merged.push(last);
    }
    let wanted = (keys / ROW_KEYS).max(1).next_power_of_two().ilog2();
    let row_bits = wanted.clamp(CHUNK_BITS, ROW_BITS_MAX);
    let reserve = sqlx::query_scalar(
        "insert into runs (place_id, keys, row_bits, filter, checksum) values (?, 0, 0, x'', 0) returning run_id",
    );
    let id: i64 = reserve.bind(place).fetch_one(&mut *connection).await?;
    let mut filter = Filter::new(keys);
    let mut left = new.as_slice();
    for chunk in 0..1 << CHUNK_BITS {
        let (here, rest) = left.split_at(left.partition_point(|(key, _)| first_bits(key, CHUNK_BITS) <= chunk));
        left = rest;
        let mut entries = here.to_vec();
        for run in &merged {
            read_chunk(connection, run, chunk, &mut entries).await?;
        }
        entries.sort_unstable_by_key(|(key, _)| *key);
        for row in entries.chunk_by(|(a, _), (b, _)| first_bits(a, row_bits) == first_bits(b, row_bits)) {
            row.iter().for_each(|(key, _)| filter.add(key));
            write_row(connection, (id << RUN_SHIFT) | i64::from(first_bits(&row[0].0, row_bits)), row).await?;
        }
    }
    for Run { id, .. } in &merged {
        let rows = sqlx::query("delete from run_rows where position >= ? and position < ?");
        rows.bind(id << RUN_SHIFT).bind((id + 1) << RUN_SHIFT).execute(&mut *connection).await?;
        sqlx::query("delete from runs where run_id = ?").bind(id).execute(&mut *connection).await?;
    }
    let (bytes, count, bits) = (filter.to_bytes(), keys.cast_signed() as i64, i64::from(row_bits));
    let update = sqlx::query("update runs set keys = ?, row_bits = ?, filter = ?, checksum = ? where run_id = ?");
    let sum = run_checksum(id, count, bits, &bytes);
    update.bind(count).bind(bits).bind(bytes).bind(sum).bind(id).execute(&mut *connection).await?;
    runs.push(Run { id, keys, row_bits, filter: Arc::new(filter) });
    Ok(runs)
}

async fn write_row(connection: &mut SqliteConnection, position: i64, entries: &[Entry]) -> Result<(), Failure> {
    let mut keys = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for (key, Known { content, offset }) in entries {
        keys.extend_from_slice(key);
        keys.extend_from_slice(content);
        keys.extend_from_slice(&offset.to_le_bytes());
    }
    let sum = checksum(&[&position.to_le_bytes(), &keys]);
    let insert = sqlx::query("insert into run_rows (position, keys, checksum) values (?, ?, ?)");
    insert.bind(position).bind(keys).bind(sum).execute(connection).await?;
    Ok(())
}

/// The entries of the rows whose keys begin with these bits.
async fn read_chunk(
    connection: &mut SqliteConnection,
    run: &Run,
    chunk: u32,
    entries: &mut Vec<Entry>,
) -> Result<(), Failure> {
    let first = chunk << (run.row_bits - CHUNK_BITS);
    let last = first + (1 << (run.row_bits - CHUNK_BITS)) - 1;
    let rows = sqlx::query("select position, keys, checksum from run_rows where position between ? and ?");
    let mut rows = rows.bind(run.position(first)).bind(run.position(last)).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        entries.extend(entries_of(&row)?);
    }
    Ok(())
}

/// A row's entries, checked.
fn entries_of(row: &sqlx::sqlite::SqliteRow) -> Result<Vec<Entry>, Failure> {
    let (position, keys): (i64, Vec<u8>) = (row.get(0), row.get(1));
    let (entries, rest) = keys.as_chunks::<ENTRY_BYTES>();
    if row.get::<i64, _>(2) != checksum(&[&position.to_le_bytes(), &keys]) || !rest.is_empty() {
        return Err(damaged("a row of keys"));
    }
    let part = |entry: &[u8; ENTRY_BYTES], from: usize| -> [u8; 16] { std::array::from_fn(|at| entry[from + at]) };
    let offset = |entry: &[u8; ENTRY_BYTES]| u64::from_le_bytes(std::array::from_fn(|at| entry[32 + at]));
    let known = |entry: &[u8; ENTRY_BYTES]| Known { content: part(entry, 16), offset: offset(entry) };
    Ok(entries.iter().map(|entry| (part(entry, 0), known(entry))).collect())
}

/// A look-up of keys, as far as the filters answer it.
pub(super) struct Asked<'a> {
    keys: &'a [[u8; 16]],
    /// Rows that may hold a key, and which.
    wanted: Vec<(i64, usize)>,
}

impl<'a> Asked<'a> {
    pub fn new(runs: &[Run], keys: &'a [[u8; 16]]) -> Asked<'a> {
        let rows = |(at, key): (usize, &'a [u8; 16])| {
            let may = runs.iter().filter(move |run| run.filter.may_hold(key));
            may.map(move |run| (run.position(run.row_of(key)), at))
        };
        let mut wanted: Vec<_> = keys.iter().enumerate().flat_map(rows).collect();
        wanted.sort_unstable();
        Asked { keys, wanted }
    }

    /// Whether no row need be read, as no key is known.
    pub fn is_answered(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Reads the rows that may hold a key.
    pub async fn answer(self, connection: &mut SqliteConnection) -> Result<Vec<Option<Known>>, Failure> {
        let mut found = vec![None; self.keys.len()];
        let mut positions: Vec<i64> = self.wanted.iter().map(|(position, _)| *position).collect();
        positions.dedup();
        let marks = vec!["?"; LOOK_UP_ROWS].join(",");
        let sql = format!("select position, keys, checksum from run_rows where position in ({marks})");
        for chunk in positions.chunks(LOOK_UP_ROWS) {
            let mut look_up = sqlx::query(AssertSqlSafe(sql.clone()));
            for at in 0..LOOK_UP_ROWS {
                look_up = look_up.bind(chunk.get(at).copied());
            }
            let mut rows = look_up.fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                let (position, entries) = (row.get::<i64, _>(0), entries_of(&row)?);
                let from = self.wanted.partition_point(|(wanted, _)| *wanted < position);
                for (_, at) in self.wanted[from..].iter().take_while(|(wanted, _)| *wanted == position) {
                    if let Ok(entry) = entries.binary_search_by_key(&self.keys[*at], |(key, _)| *key) {
                        found[*at] = Some(entries[entry].1);
                    }
                }
            }
        }
        Ok(found)
    }
}
