//! Items of a place: put, removed, looked up and paged; knows no place by name.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    super::{Due, Item, PAGE_BYTES_MAX, PAGE_ITEMS_MAX},
    Failure, checksum,
};

/// The most items, and about the most bytes of blobs, that one statement puts.
const PUT_ITEMS: usize = 4096;
const PUT_BYTES: usize = 8 << 20;

pub(super) async fn remove(connection: &mut PgConnection, place: i64, keys: &[Box<str>]) -> Result<(), Failure> {
    if !keys.is_empty() {
        let delete = sqlx::query("delete from snapshot_items where place_id = $1 and key = any($2)");
        delete.bind(place).bind(keys).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn put(connection: &mut PgConnection, place: i64, items: &[Item]) -> Result<(), Failure> {
    // Of an item that comes twice the last counts, and a statement takes each row once.
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        last.insert(&item.key, at);
    }
    let mut left: Vec<&Item> =
        items.iter().enumerate().filter(|(at, item)| last.get(&*item.key) == Some(at)).map(|(_, item)| item).collect();
    while !left.is_empty() {
        let mut bytes = 0;
        let fits = |item: &&&Item| {
            let fits = bytes < PUT_BYTES;
            bytes += item.blob.len();
            fits
        };
        let count = left.iter().take(PUT_ITEMS).take_while(fits).count();
        let chunk: Vec<&Item> = left.drain(..count).collect();
        let put = sqlx::query(
            "insert into snapshot_items (place_id, key, due, blob, checksum)
             select $1, * from unnest($2::text[], $3::bigint[], $4::bytea[], $5::bigint[])
             on conflict (place_id, key) do update
             set due = excluded.due, blob = excluded.blob, checksum = excluded.checksum",
        );
        let put = put.bind(place).bind(chunk.iter().map(|item| &*item.key).collect::<Vec<&str>>());
        let put = put.bind(chunk.iter().map(|item| item.due).collect::<Vec<_>>());
        let put = put.bind(chunk.iter().map(|item| &*item.blob).collect::<Vec<&[u8]>>());
        let sums: Vec<i64> = chunk.iter().map(|item| item_checksum(&item.key, item.due, &item.blob)).collect();
        put.bind(sums).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn find(
    connection: &mut PgConnection,
    place: i64,
    keys: &[Box<str>],
) -> Result<Vec<Option<Bytes>>, Failure> {
    let find = sqlx::query("select key, due, blob, checksum from snapshot_items where place_id = $1 and key = any($2)");
    let rows = find.bind(place).bind(keys).fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let item = item_of(&row)?;
        found.insert(item.key, item.blob);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

pub(super) async fn page(
    connection: &mut PgConnection,
    place: i64,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<Item>, Failure> {
    let page = sqlx::query(
        "select key, due, blob, checksum from (
             select *, sum(octet_length(blob)) over (order by key) - octet_length(blob) as before from (
                 select key, due, blob, checksum from snapshot_items
                 where place_id = $1 and ($2::text is null or key > $2) order by key limit $3
             ) as items
         ) as items where before < $4 order by key",
    );
    let page = page.bind(place).bind(after).bind(limit(max)).bind(PAGE_BYTES_MAX as i64);
    let rows = page.fetch_all(connection).await?;
    rows.iter().map(item_of).collect()
}

pub(super) async fn due(
    connection: &mut PgConnection,
    place: i64,
    after: Option<Due>,
    max: usize,
) -> Result<Vec<Due>, Failure> {
    let page = sqlx::query(
        "select due, key from snapshot_items where place_id = $1 and due is not null and (due, key) > ($2, $3)
         order by due, key limit $4",
    );
    // The empty key of the smallest number stands before all, as no key is empty.
    let (due, key) = after.unwrap_or((i64::MIN, Box::from("")));
    let rows = page.bind(place).bind(due).bind(&*key).bind(limit(max)).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<String, _>(1).into())).collect())
}

fn limit(max: usize) -> i64 {
    i64::try_from(max.min(PAGE_ITEMS_MAX)).unwrap_or(i64::MAX)
}

fn item_checksum(key: &str, due: Option<i64>, blob: &[u8]) -> i64 {
    let due = due.map(i64::to_le_bytes);
    checksum(&[key.as_bytes(), due.as_ref().map_or(&[], |due| &due[..]), blob])
}

/// An item as its row holds it, checked.
fn item_of(row: &PgRow) -> Result<Item, Failure> {
    let item = Item { key: row.get::<String, _>(0).into(), due: row.get(1), blob: row.get::<Vec<u8>, _>(2).into() };
    let whole = row.get::<i64, _>(3) == item_checksum(&item.key, item.due, &item.blob);
    whole.then_some(item).ok_or(Failure::Damaged("an item"))
}
