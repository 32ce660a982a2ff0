//! Views that were saved and taken back are those that were folded from the first entry.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use bytes::Bytes;
use event_log::{
    EventLog, Topic,
    memory::Memory as Log,
    snapshot::{Item, Place, Save, SnapshotStore, memory::Memory as Snapshots},
};
use projections::{
    Position, Replay, Saving, Views, Worker, follow_saved, replay,
    testing::{Ledger, account},
};
use proptest::prelude::*;
use std::sync::{Arc, atomic::Ordering};
use support::{Counting, WAIT, everything_now};

const LEDGER: Place = Place { reader: "views", topic: Topic::Ledger, partition: 0 };

async fn end(log: &dyn EventLog) -> Position {
    let mut end = Position::default();
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            let tail = log.tail(topic, partition).await.unwrap();
            end.merge(&Position::after(topic, partition, tail - 1));
        }
    }
    end
}

async fn started(log: &Arc<dyn EventLog>, store: &Snapshots, entries: u64) -> (Arc<Views>, Worker) {
    let views = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    let saving = Saving { store: Arc::new(store.clone()), entries };
    let worker = follow_saved(Arc::clone(log), Arc::clone(&views), saving).await.unwrap();
    assert!(views.wait_for(&end(&**log).await, WAIT).await, "the views reach the end");
    (views, worker)
}

async fn equal_to_a_cold_replay(log: &Arc<dyn EventLog>, views: &Views) {
    let cold = replay(Arc::clone(log), Replay::default(), |_| ()).await.unwrap().views;
    assert_eq!(views.state_hashes(), cold.state_hashes());
    for id in cold.accounts() {
        assert_eq!(everything_now(&**log, views, &id).await, everything_now(&**log, &cold, &id).await);
    }
}

/// Histories in parts: after each the process stops in order, or not.
fn parts() -> impl Strategy<Value = Vec<(Vec<u64>, bool)>> {
    prop::collection::vec((prop::collection::vec(any::<u64>(), 20..300), any::<bool>()), 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn views_from_any_snapshot_and_the_rest_are_those_from_the_first_entry(
        parts in parts(), partitions in 1u32..3, entries in 1u64..40,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut ledger, store) = (Ledger::new(partitions), Snapshots::new());
            let own: Log = ledger.log().await;
            let log: Arc<dyn EventLog> = Arc::new(own.clone());
            for (draws, in_order) in parts {
                let (views, worker) = started(&log, &store, entries).await;
                let mut draws = draws.into_iter();
                while draws.len() > 0 {
                    let who = account(draws.next().map_or(0, |draw| draw % 3) as usize);
                    ledger.wander(&who, &mut |below| draws.next().unwrap_or_default() % below.max(1));
                    ledger.append_to(&own).await;
                }
                assert!(views.wait_for(&end(&*log).await, WAIT).await);
                equal_to_a_cold_replay(&log, &views).await;
                if in_order {
                    worker.stop().await;
                } else {
                    drop(worker);
                }
            }
            let (views, worker) = started(&log, &store, entries).await;
            equal_to_a_cold_replay(&log, &views).await;
            worker.stop().await;
        });
    }
}

/// A ledger of one partition that was folded and saved in order.
async fn saved() -> (Ledger, Log, Snapshots) {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "1000.00");
    ledger.open(&account(2), "2000.00");
    let (own, store) = (ledger.log().await, Snapshots::new());
    let log: Arc<dyn EventLog> = Arc::new(own.clone());
    let (_, worker) = started(&log, &store, 1000).await;
    worker.stop().await;
    (ledger, own, store)
}

#[tokio::test]
async fn a_start_after_a_stop_folds_only_what_came_since() {
    let (mut ledger, own, store) = saved().await;
    let counting = Arc::new(Counting::new(own.clone()));
    let log: Arc<dyn EventLog> = Arc::clone(&counting) as _;
    let (views, worker) = started(&log, &store, 1000).await;
    assert_eq!(counting.followed_from.load(Ordering::Relaxed), 5, "a claim and four entries are not read again");
    ledger.open(&account(3), "3000.00");
    ledger.append_to(&own).await;
    assert!(views.wait_for(&end(&*log).await, WAIT).await);
    equal_to_a_cold_replay(&log, &views).await;
    worker.stop().await;
    let state = store.state(LEDGER).await.unwrap().unwrap();
    assert_eq!(state.reader.offset, 7, "saved at the stop");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_or_is_of_another_version_is_folded_again() {
    for damage in [true, false] {
        let (_, own, store) = saved().await;
        let mut state = store.state(LEDGER).await.unwrap().unwrap();
        let mut items = Vec::new();
        if damage {
            items.push(Item { key: "TORN".into(), due: None, blob: Bytes::from_static(&[0, 9, 9]) });
        } else {
            state.version = "0.0.1/1".into();
        }
        let save = Save { onto: state.reader.offset, state, items, removed: Vec::new(), known: Vec::new() };
        store.save(LEDGER, save).await.unwrap();
        let counting = Arc::new(Counting::new(own));
        let log: Arc<dyn EventLog> = Arc::clone(&counting) as _;
        let (views, worker) = started(&log, &store, 1000).await;
        assert_eq!(counting.followed_from.load(Ordering::Relaxed), 0);
        equal_to_a_cold_replay(&log, &views).await;
        worker.stop().await;
        assert_eq!(store.state(LEDGER).await.unwrap().unwrap().reader.offset, 5, "and saved as it should be");
    }
}

#[tokio::test]
async fn what_a_stopped_view_could_not_fold_is_not_saved() {
    let (mut ledger, own, store) = saved().await;
    ledger.poison(&account(1));
    ledger.append_to(&own).await;
    let log: Arc<dyn EventLog> = Arc::new(own);
    for _ in 0..2 {
        let (views, worker) = started(&log, &store, 1).await;
        assert_eq!(views.stops().len(), 5, "each start stops there again");
        worker.stop().await;
        assert_eq!(store.state(LEDGER).await.unwrap().unwrap().reader.offset, 5);
    }
}
