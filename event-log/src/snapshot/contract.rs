//! What every store of snapshots must keep, as tests that an adapter joins with one line; knows no adapter.
//!
//! [`snapshot_contract`](crate::snapshot_contract) makes a test of each function here, on an empty store.

use std::sync::Arc;

use bytes::Bytes;

use super::{BLOB_BYTES_MAX, Item, KEY_BYTES_MAX, Known, LOOK_UP_KEYS_MAX, Place, Save, SnapshotStore, State};
use crate::{Error, Topic, rule::Reader};

/// Makes a test of each obligation, on the store that `$open` makes; `$open` is an async function that
/// answers what keeps the store alive and an `Arc<dyn SnapshotStore>`.
#[macro_export]
macro_rules! snapshot_contract {
    ($open:path) => {
        $crate::snapshot_contract!($open:
            what_was_saved_is_read_back,
            a_save_that_does_not_stand_on_the_one_before_is_refused_and_changes_nothing,
            items_are_replaced_and_removed,
            pages_ascend_by_key_until_an_empty_one,
            due_items_ascend_and_follow_their_items,
            keys_of_many_saves_are_found_and_others_are_not,
            every_key_is_told_by_its_first_byte,
            places_are_apart,
            what_is_forgotten_is_gone_and_the_place_starts_again,
            what_is_too_large_is_refused,
        );
    };
    ($open:path: $($name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_kept, store) = $open().await;
                $crate::snapshot::contract::$name(store).await;
            }
        )*
    };
}

/// A store, shared as the product shares it.
type Store = Arc<dyn SnapshotStore>;

const BOOKS: Place = Place { reader: "books", topic: Topic::Ledger, partition: 0 };
const VIEWS: Place = Place { reader: "views", topic: Topic::Ledger, partition: 0 };

/// A state at this offset, with everything in it.
pub fn state(offset: u64) -> State {
    let reader = Reader { offset, term: 3, writer: u128::MAX - 7, last: -1 };
    State { reader, version: "0.1.0/1".into(), blob: Bytes::from(format!("state {offset}")) }
}

fn save(onto: u64, offset: u64) -> Save {
    Save { onto, state: state(offset), items: Vec::new(), removed: Vec::new(), known: Vec::new() }
}

fn item(key: &str, due: Option<i64>, text: &str) -> Item {
    Item { key: key.into(), due, blob: Bytes::copy_from_slice(text.as_bytes()) }
}

/// A key that looks as random as a hash.
fn key(number: u64) -> [u8; 16] {
    let half = |seed: u64| {
        number
            .wrapping_add(seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    (u128::from(half(1)) << 64 | u128::from(half(2))).to_le_bytes()
}

fn known(number: u64) -> Known {
    Known { content: [number as u8; 16], offset: number }
}

async fn saved(store: &Store, place: Place, save: Save) {
    store.save(place, save).await.expect("a save succeeds");
}

async fn page(store: &Store, place: Place, after: Option<&str>, max: usize) -> Vec<Item> {
    store.page(place, after.map(Into::into), max).await.expect("a page is read")
}

async fn texts(store: &Store, place: Place, keys: &[&str]) -> Vec<Option<String>> {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let blobs = store.items(place, keys).await.expect("items are read");
    blobs.into_iter().map(|blob| blob.map(|blob| String::from_utf8_lossy(&blob).into_owned())).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// State, items and keys come back as they were saved.
pub async fn what_was_saved_is_read_back(store: Store) {
    assert_eq!(store.state(BOOKS).await.expect("a state is read"), None);
    assert_eq!(texts(&store, BOOKS, &["A"]).await, [None]);
    let items = vec![item("A", None, "one"), item("B", Some(-5), ""), item("C", Some(9), "three")];
    saved(&store, BOOKS, Save { items: items.clone(), known: vec![(key(1), known(1))], ..save(0, 10) }).await;
    assert_eq!(store.state(BOOKS).await.expect("a state is read"), Some(state(10)));
    assert_eq!(texts(&store, BOOKS, &["C", "none", "A", "B"]).await, [some("three"), None, some("one"), some("")]);
    assert_eq!(page(&store, BOOKS, None, 10).await, items);
    let asked = vec![key(2), key(1)];
    assert_eq!(store.known(BOOKS, asked).await.expect("keys are read"), [None, Some(known(1))]);
}

/// No change can be left out between two saves.
pub async fn a_save_that_does_not_stand_on_the_one_before_is_refused_and_changes_nothing(store: Store) {
    saved(&store, BOOKS, save(0, 10)).await;
    for onto in [0, 9, 11] {
        let again = Save { items: vec![item("A", None, "x")], known: vec![(key(1), known(1))], ..save(onto, 20) };
        let refused = store.save(BOOKS, again).await;
        assert!(matches!(refused, Err(Error::NotTheEnd { end: 10 })), "{refused:?}");
    }
    assert_eq!(store.state(BOOKS).await.expect("a state is read"), Some(state(10)));
    assert!(page(&store, BOOKS, None, 10).await.is_empty());
    assert_eq!(store.known(BOOKS, vec![key(1)]).await.expect("keys are read"), [None]);
    saved(&store, BOOKS, save(10, 20)).await;
}

/// A later save changes what it names and nothing else.
pub async fn items_are_replaced_and_removed(store: Store) {
    let items = ["A", "B", "C"].map(|key| item(key, Some(1), "old")).into();
    saved(&store, BOOKS, Save { items, ..save(0, 1) }).await;
    let items = vec![item("B", None, "new"), item("D", None, "new")];
    saved(&store, BOOKS, Save { items, removed: vec!["C".into(), "none".into()], ..save(1, 2) }).await;
    let found = texts(&store, BOOKS, &["A", "B", "C", "D"]).await;
    assert_eq!(found, [some("old"), some("new"), None, some("new")]);
}

/// Pages hold every item once.
pub async fn pages_ascend_by_key_until_an_empty_one(store: Store) {
    let keys: Vec<String> = (0..500).map(|number| format!("K{number:03}")).collect();
    let items = keys.iter().rev().map(|key| item(key, None, key)).collect();
    saved(&store, BOOKS, Save { items, ..save(0, 1) }).await;
    let mut found: Vec<String> = Vec::new();
    loop {
        let items = page(&store, BOOKS, found.last().map(String::as_str), 64).await;
        assert!(items.len() <= 64);
        if items.is_empty() {
            break;
        }
        found.extend(items.into_iter().map(|item| item.key.into()));
    }
    assert_eq!(found, keys);
}

/// What is due first comes first, and a changed item is due when it says now.
pub async fn due_items_ascend_and_follow_their_items(store: Store) {
    let items = vec![item("A", Some(5), "a"), item("B", Some(-1), "b"), item("C", None, "c"), item("D", Some(5), "d")];
    saved(&store, BOOKS, Save { items, ..save(0, 1) }).await;
    let due = async |after: Option<(i64, &str)>, max| {
        let after = after.map(|(due, key)| (due, Box::from(key)));
        let due = store.due(BOOKS, after, max).await.expect("due items are read");
        due.into_iter().map(|(due, key)| (due, String::from(key))).collect::<Vec<_>>()
    };
    let all = [(-1, "B"), (5, "A"), (5, "D")].map(|(due, key)| (due, key.to_owned()));
    assert_eq!(due(None, 10).await, all);
    assert_eq!(due(None, 2).await, all[..2]);
    assert_eq!(due(Some((5, "A")), 10).await, all[2..]);
    let items = vec![item("B", None, "b"), item("D", Some(1), "d")];
    saved(&store, BOOKS, Save { items, removed: vec!["A".into()], ..save(1, 2) }).await;
    assert_eq!(due(None, 10).await, [(1, "D".to_owned())]);
}

/// A key of any save is found, whatever the store made of the saves.
pub async fn keys_of_many_saves_are_found_and_others_are_not(store: Store) {
    // Sizes that make a store which merges like sizes do so in several ways.
    let sizes = [1, 700, 1, 3, 2_000, 40, 40, 90, 5_000, 0, 1];
    let (mut next, mut end) = (0, 0);
    for size in sizes {
        let keys = (next..next + size).map(|number| (key(number), known(number))).collect();
        saved(&store, BOOKS, Save { known: keys, ..save(end, end + 1) }).await;
        (next, end) = (next + size, end + 1);
        let asked: Vec<u64> = (0..next + 50).rev().collect();
        for asked in asked.chunks(LOOK_UP_KEYS_MAX) {
            let keys = asked.iter().map(|number| key(*number)).collect();
            let found = store.known(BOOKS, keys).await.expect("keys are read");
            let expected: Vec<_> = asked.iter().map(|number| (*number < next).then(|| known(*number))).collect();
            assert_eq!(found, expected);
        }
    }
}

/// By all first bytes every key that was saved is told, and no other.
pub async fn every_key_is_told_by_its_first_byte(store: Store) {
    assert!(store.keys(BOOKS, 0).await.expect("keys are read").is_empty(), "nothing is saved");
    let edges = [[0; 16], [u8::MAX; 16]];
    let mut all: Vec<[u8; 16]> = (0..3_000).map(key).chain(edges).collect();
    for (at, keys) in (0..).zip(all.chunks(1_000)) {
        let keys = keys.iter().map(|key| (*key, known(1))).collect();
        saved(&store, BOOKS, Save { known: keys, ..save(at, at + 1) }).await;
    }
    let mut told = Vec::new();
    for first in 0..=u8::MAX {
        let keys = store.keys(BOOKS, first).await.expect("keys are read");
        assert!(keys.iter().all(|key| key[0] == first));
        told.extend(keys);
    }
    told.sort_unstable();
    all.sort_unstable();
    assert_eq!(told, all);
}

/// Another reader, topic or partition has nothing of this one.
pub async fn places_are_apart(store: Store) {
    let full = Save { items: vec![item("A", Some(1), "a")], known: vec![(key(1), known(1))], ..save(0, 5) };
    saved(&store, BOOKS, full).await;
    for place in [VIEWS, Place { topic: Topic::Market, ..BOOKS }, Place { partition: 1, ..BOOKS }] {
        assert_eq!(store.state(place).await.expect("a state is read"), None);
        assert!(page(&store, place, None, 10).await.is_empty());
        assert_eq!(texts(&store, place, &["A"]).await, [None]);
        assert_eq!(store.due(place, None, 10).await.expect("due items are read"), []);
        assert_eq!(store.known(place, vec![key(1)]).await.expect("keys are read"), [None]);
    }
}

/// Forgetting one place leaves the others.
pub async fn what_is_forgotten_is_gone_and_the_place_starts_again(store: Store) {
    for place in [BOOKS, VIEWS] {
        let full = Save { items: vec![item("A", Some(1), "a")], known: vec![(key(1), known(1))], ..save(0, 5) };
        saved(&store, place, full).await;
    }
    store.forget(BOOKS).await.expect("a place is forgotten");
    assert_eq!(store.state(BOOKS).await.expect("a state is read"), None);
    assert!(page(&store, BOOKS, None, 10).await.is_empty());
    assert_eq!(store.known(BOOKS, vec![key(1)]).await.expect("keys are read"), [None]);
    assert_eq!(texts(&store, VIEWS, &["A"]).await, [some("a")]);
    assert_eq!(store.known(VIEWS, vec![key(1)]).await.expect("keys are read"), [Some(known(1))]);
    saved(&store, BOOKS, Save { known: vec![(key(2), known(2))], ..save(0, 1) }).await;
    assert_eq!(store.known(BOOKS, vec![key(2), key(1)]).await.expect("keys are read"), [Some(known(2)), None]);
}

/// The limits of the port.
pub async fn what_is_too_large_is_refused(store: Store) {
    let long = item(&"k".repeat(KEY_BYTES_MAX + 1), None, "");
    let large = Item { key: "A".into(), due: None, blob: vec![0; BLOB_BYTES_MAX + 1].into() };
    for item in [long, large] {
        let refused = store.save(BOOKS, Save { items: vec![item], ..save(0, 1) }).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    }
    let many = vec![[0; 16]; LOOK_UP_KEYS_MAX + 1];
    assert!(matches!(store.known(BOOKS, many).await, Err(Error::TooLarge { .. })));
    assert_eq!(store.state(BOOKS).await.expect("a state is read"), None);
}
