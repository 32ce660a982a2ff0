//! The contract on a real server, and what is the server's alone. `make services` starts one.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{Topic, postgres::tests::Own, snapshot::contract::state, snapshot_contract};

const PLACE: Place = Place { reader: "books", topic: Topic::Ledger, partition: 0 };
const LOG: Uuid = Uuid::from_u128(7);

async fn opened() -> (Own, Arc<dyn SnapshotStore>) {
    let (own, database) = Own::opened().await;
    (own, Arc::new(Postgres::new(database, LOG)))
}

snapshot_contract!(opened);

fn full(onto: u64, offset: u64) -> Save {
    let items = vec![Item { key: "A".into(), due: Some(1), blob: Bytes::from_static(b"book") }];
    let known = (0..3_u8).map(|n| ([n; 16], Known { content: [n; 16], offset: n.into() })).collect();
    Save { onto, state: state(offset), items, removed: Vec::new(), known }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_another_log_have_nothing_of_this_one() {
    let (_own, database) = Own::opened().await;
    let (one, other) = (Postgres::new(database.clone(), LOG), Postgres::new(database, Uuid::from_u128(8)));
    one.save(PLACE, full(0, 5)).await.expect("a save succeeds");
    assert_eq!(other.state(PLACE).await.expect("a state is read"), None);
    other.save(PLACE, full(0, 9)).await.expect("a save succeeds");
    other.forget(PLACE).await.expect("a place is forgotten");
    assert_eq!(one.state(PLACE).await.expect("a state is read"), Some(state(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_saves_at_once_onto_the_same_one_lands_and_the_other_is_refused() {
    let (_own, database) = Own::opened().await;
    for onto in [0, 5, 10] {
        let save = |_| {
            let store = Postgres::new(database.clone(), LOG);
            tokio::spawn(async move { store.save(PLACE, Save { known: Vec::new(), ..full(onto, onto + 5) }).await })
        };
        let mut landed = 0;
        for saved in (0..3).map(save).collect::<Vec<_>>() {
            match saved.await.expect("it does not panic") {
                Ok(()) => landed += 1,
                Err(Error::NotTheEnd { end }) => assert_eq!(end, onto + 5),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(landed, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_changed_since_is_believed() {
    for sql in [
        "update snapshot_places set state_offset = 6",
        "update snapshot_places set state = '\\x00'",
        "update snapshot_places set writer = '\\x00'",
        "update snapshot_items set blob = '\\x00'",
        "update snapshot_items set due = 2",
        "update snapshot_items set key = 'B'",
        "update snapshot_keys set content = '\\x00'",
        "update snapshot_keys set entry_offset = entry_offset + 1",
    ] {
        let (own, database) = Own::opened().await;
        let store = Postgres::new(database, LOG);
        store.save(PLACE, full(0, 5)).await.expect("a save succeeds");
        own.run(sql).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_forgot_and_could_not_delete_the_next_one_does() {
    let (own, database) = Own::opened().await;
    let store = Postgres::new(database.clone(), LOG);
    store.save(PLACE, full(0, 5)).await.expect("a save succeeds");
    own.run("update snapshot_places set forgotten = true").await;
    assert_eq!(store.state(PLACE).await.expect("a state is read"), None);
    store.save(PLACE, full(0, 7)).await.expect("the place starts again");
    store.forget(PLACE).await.expect("a place is forgotten");
    let left = "select (select count(*) from snapshot_places) + (select count(*) from snapshot_items)
                + (select count(*) from snapshot_keys)";
    let deleted =
        async { while sqlx::query_scalar::<_, i64>(left).fetch_one(database.pool()).await.expect("a count") > 0 {} };
    tokio::time::timeout(Duration::from_secs(30), deleted).await.expect("rows are deleted beside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_large_items_ends_within_its_bytes() {
    let (_own, database) = Own::opened().await;
    let store = Postgres::new(database, LOG);
    let item = |n: u8| Item { key: format!("K{n}").into(), due: None, blob: vec![n; 3 << 20].into() };
    let items = (0..5).map(item).collect::<Vec<_>>();
    let save = Save { items: items.clone(), known: Vec::new(), ..full(0, 1) };
    store.save(PLACE, save).await.expect("a save succeeds");
    let page = store.page(PLACE, None, 10).await.expect("a page is read");
    assert_eq!(page, items[..3]);
    assert_eq!(store.page(PLACE, Some("K2".into()), 10).await.expect("a page is read"), items[3..]);
}
