//! Remembered keys of a place: added and looked up, many at once; knows nothing else of it.

use std::collections::HashMap;

use futures::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{super::Known, Failure, checksum};

/// The most keys that one statement adds.
const ADD_KEYS: usize = 4096;

pub(super) async fn add(
    connection: &mut PgConnection,
    place: i64,
    mut known: Vec<([u8; 16], Known)>,
) -> Result<(), Failure> {
    // Neighbours in the index are written together.
    known.sort_unstable_by_key(|(key, _)| *key);
    for chunk in known.chunks(ADD_KEYS) {
        // What a key was first used for is what counts.
        let add = sqlx::query(
            "insert into snapshot_keys (place_id, key, content, entry_offset, checksum)
             select $1, * from unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
             on conflict (place_id, key) do nothing",
        );
        let add = add.bind(place).bind(chunk.iter().map(|(key, _)| &key[..]).collect::<Vec<&[u8]>>());
        let add = add.bind(chunk.iter().map(|(_, known)| &known.content[..]).collect::<Vec<&[u8]>>());
        let add = add.bind(chunk.iter().map(|(_, known)| known.offset.cast_signed()).collect::<Vec<i64>>());
        let sums: Vec<i64> = chunk.iter().map(|(key, known)| key_checksum(key, known)).collect();
        add.bind(sums).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn find(
    connection: &mut PgConnection,
    place: i64,
    keys: &[[u8; 16]],
) -> Result<Vec<Option<Known>>, Failure> {
    let find = sqlx::query(
        "select key, content, entry_offset, checksum from snapshot_keys where place_id = $1 and key = any($2)",
    );
    let asked: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let rows = find.bind(place).bind(asked).fetch_all(connection).await?;
    let found = rows.iter().map(known_of).collect::<Result<HashMap<_, _>, _>>()?;
    Ok(keys.iter().map(|key| found.get(key).copied()).collect())
}

/// The keys that begin with this byte.
pub(super) async fn beginning(connection: &mut PgConnection, place: i64, first: u8) -> Result<Vec<[u8; 16]>, Failure> {
    let find = sqlx::query_scalar("select key from snapshot_keys where place_id = $1 and key between $2 and $3");
    let (from, to) = ([first; 1], std::array::from_fn::<u8, 16, _>(|at| if at == 0 { first } else { u8::MAX }));
    let mut rows = find.bind(place).bind(from).bind(to).fetch(connection);
    let mut keys = Vec::new();
    while let Some(key) = rows.try_next().await? {
        let key: Vec<u8> = key;
        keys.push(key.try_into().map_err(|_| Failure::Damaged("a key"))?);
    }
    Ok(keys)
}

fn key_checksum(key: &[u8; 16], known: &Known) -> i64 {
    checksum(&[key, &known.content, &known.offset.to_le_bytes()])
}

/// A key as its row holds it, checked.
fn known_of(row: &PgRow) -> Result<([u8; 16], Known), Failure> {
    let part = |at: usize| <[u8; 16]>::try_from(row.get::<&[u8], _>(at)).ok();
    let read = || {
        let (key, content) = (part(0)?, part(1)?);
        let known = Known { content, offset: row.get::<i64, _>(2).cast_unsigned() };
        (row.get::<i64, _>(3) == key_checksum(&key, &known)).then_some((key, known))
    };
    read().ok_or(Failure::Damaged("a key"))
}
