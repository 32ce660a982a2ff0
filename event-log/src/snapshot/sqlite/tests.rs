//! What only the adapter on disk does: it is opened again, and believes nothing that was not saved.

use super::*;
use crate::{
    EventLog, Headers, Record, RecordKind, Topic,
    memory::Memory,
    snapshot::{contract::state, usable},
};
use tempfile::TempDir;

const PLACE: Place = Place { reader: "books", topic: Topic::Ledger, partition: 0 };
const LOG: Uuid = Uuid::from_u128(7);

async fn opened(folder: &TempDir) -> Sqlite {
    Sqlite::open(folder.path(), LOG).await.expect("snapshots can be opened")
}

fn full(onto: u64, offset: u64) -> Save {
    let items = vec![Item { key: "A".into(), due: Some(1), blob: Bytes::from_static(b"book") }];
    let known = (0..3_u8).map(|n| ([n; 16], Known { content: [n; 16], offset: n.into() })).collect();
    Save { onto, state: state(offset), items, removed: Vec::new(), known }
}

/// A folder with one save in it, closed.
async fn saved() -> TempDir {
    let folder = TempDir::new().expect("a folder can be made");
    let store = opened(&folder).await;
    store.save(PLACE, full(0, 5)).await.expect("a save succeeds");
    store.close().await;
    folder
}

async fn change(folder: &TempDir, sql: &'static str) {
    let path = folder.path().join(file::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the file opens");
    let changed = sqlx::query(sql).execute(&mut connection).await.expect("the file is changed");
    assert!(changed.rows_affected() > 0 || sql.starts_with("pragma"), "{sql}");
    connection.close().await.expect("the file closes");
}

#[tokio::test]
async fn what_was_saved_is_there_after_opening_again() {
    let folder = saved().await;
    let store = opened(&folder).await;
    assert_eq!(store.state(PLACE).await.unwrap(), Some(state(5)));
    assert_eq!(store.items(PLACE, vec!["A".into()]).await.unwrap(), [Some(Bytes::from_static(b"book"))]);
    let found = store.known(PLACE, vec![[2; 16], [9; 16]]).await.unwrap();
    assert_eq!(found, [Some(Known { content: [2; 16], offset: 2 }), None]);
}

#[tokio::test]
async fn a_file_of_another_log_a_later_format_or_another_product_is_set_aside() {
    for sql in ["update meta set value = 'x'", "pragma user_version = 2", "pragma application_id = 1"] {
        let folder = saved().await;
        change(&folder, sql).await;
        let store = opened(&folder).await;
        assert_eq!(store.state(PLACE).await.unwrap(), None, "{sql}");
        store.save(PLACE, full(0, 5)).await.expect("the new file is saved to");
        assert!(folder.path().join("snapshots.db.aside").exists(), "{sql}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_set_aside() {
    for length in [0, 10, 100, 8192, 20_000] {
        let folder = saved().await;
        let file = std::fs::File::options().write(true).open(folder.path().join(file::FILE_NAME)).unwrap();
        assert!(file.metadata().unwrap().len() > length);
        file.set_len(length).unwrap();
        let store = opened(&folder).await;
        assert_eq!(store.state(PLACE).await.unwrap(), None, "{length} bytes");
        store.save(PLACE, full(0, 5)).await.expect("the new file is saved to");
    }
}

#[tokio::test]
async fn nothing_that_was_changed_since_is_believed() {
    for sql in [
        "update places set state_offset = 6",
        "update places set state = x'00'",
        "update items set blob = x'00'",
        "update items set due = 2",
        "update items set key = 'B'",
        "update runs set filter = zeroblob(length(filter))",
        "update run_rows set keys = substr(keys, 1, 39)",
    ] {
        let folder = saved().await;
        change(&folder, sql).await;
        let store = opened(&folder).await;
        let asked = async {
            store.state(PLACE).await?;
            store.page(PLACE, None, 10).await?;
            store.known(PLACE, vec![[0; 16], [1; 16], [2; 16]]).await
        };
        let answer = asked.await;
        assert!(matches!(answer, Err(Error::Snapshot { .. })), "{sql}: {answer:?}");
        store.forget(PLACE).await.expect("what is damaged can be forgotten");
        store.save(PLACE, full(0, 5)).await.expect("and saved again");
    }
}

fn record(term: u64, writer: u128) -> Record {
    let mut headers = Headers::claim(term, writer, "claim".into(), 0);
    headers.ce_type = RecordKind::Claim;
    Record { key: None, headers, value: Bytes::new() }
}

#[tokio::test]
async fn a_snapshot_is_usable_only_for_its_version_and_its_log() {
    let state = state(1);
    let of_log = async |records: Vec<Record>, version: &str| {
        let (store, log) = (crate::snapshot::memory::Memory::new(), Memory::new(1));
        store.save(PLACE, full(0, 1)).await.unwrap();
        if !records.is_empty() {
            log.append(Topic::Ledger, 0, None, records).await.unwrap();
        }
        let found = usable(&store, &log, PLACE, version).await.unwrap();
        assert_eq!(store.state(PLACE).await.unwrap(), found, "what is not used is forgotten");
        found
    };
    let own = || vec![record(state.reader.term, state.reader.writer), record(9, 9)];
    assert_eq!(of_log(own(), &state.version).await, Some(state.clone()));
    assert_eq!(of_log(own(), "0.2.0/1").await, None);
    assert_eq!(of_log(Vec::new(), &state.version).await, None, "the log is shorter");
    assert_eq!(of_log(vec![record(state.reader.term, 1)], &state.version).await, None, "another history");
}
