//! A start from snapshots of the market: what came before is not read again, and whatever is asked or decided is the same.

use crate::{
    common::*,
    through::{Between, Through},
};
use bytes::Bytes;
use commands::{Answer, Config, remote, write};
use domain::{
    command::Submitter,
    market::{DayNav, DayPrice},
    money::Nav,
    rejection::Rejection,
    time::Date,
};
use event_log::{
    EventLog, Requests, Topic,
    memory::Memory,
    snapshot::{self, Item, Place, Save, SnapshotStore, memory::Memory as Snapshots},
    sqlite::{Options, Sqlite},
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

const FACTS: Place = Place { reader: "facts", topic: Topic::Market, partition: 0 };

/// From where on the market of a log was read.
#[derive(Default)]
struct Noted(Mutex<Option<u64>>);

impl Between for Noted {
    fn reads(&self, topic: Topic, from: u64) {
        if topic == Topic::Market {
            let mut first = self.0.lock();
            *first = Some(first.map_or(from, |first| first.min(from)));
        }
    }
}

type Watched = Through<Noted>;

impl Watched {
    fn over(log: &(impl EventLog + Clone + 'static)) -> Arc<Self> {
        Self::of(log, Noted::default())
    }

    fn first(&self) -> u64 {
        self.between.0.lock().expect("the market was read")
    }
}

fn day_price(day: u8, close: &str) -> DayPrice {
    closed(Date::from_ymd(2026, 11, day).unwrap(), close)
}

fn nav(day: u8) -> DayNav {
    let (scheme, date) = ("119551".parse().unwrap(), Date::from_ymd(2026, 11, day).unwrap());
    DayNav { scheme, date, nav: Nav::parse("41.2345").unwrap(), corrects: None }
}

fn small(clock: &Arc<Driven>, store: Arc<dyn SnapshotStore>) -> Config {
    Config { snapshots: Some(store), snapshot_entries: 5, ..config(clock) }
}

/// A market that later starts find, and an account.
async fn day_one(running: &Started) {
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    accepted(running.desk.submit_fact(fact("scheme", scheme())).await);
    for day in 2..10 {
        accepted(running.desk.submit_fact(fact(&format!("price-{day}"), day_price(day, "100.00"))).await);
        accepted(running.desk.submit_fact(fact(&format!("nav-{day}"), nav(day))).await);
    }
    insist(running, client("A", "open", open())).await;
    insist(running, client("A", "d", deposit("100000.00"))).await;
}

/// Facts of before are known by key and by what they say, and orders are decided with them.
async fn is_known(running: &Started, round: usize) {
    let again = answered(running.desk.submit_fact(fact("price-4", day_price(4, "100.00"))).await);
    assert!(again.replayed && again.outcome.seq == 4, "{again:?}");
    let reused = running.desk.submit_fact(fact("price-4", day_price(4, "101.00"))).await;
    assert!(matches!(reused, Answer::KeyReused { .. }), "{reused:?}");
    let known = running.desk.fact_outcome(Submitter::Operator, &id("nav-9")).await.expect("it has an outcome");
    assert_eq!(known.outcome.seq, 9);
    let other = |what: &str| format!("{what}-{round}");
    let said = running.desk.submit_fact(fact(&other("again"), nav(5))).await;
    assert_eq!(refused(said), Rejection::FactRepeated);
    let said = running.desk.submit_fact(fact(&other("other"), day_price(5, "90.00"))).await;
    assert_eq!(refused(said), Rejection::FactContradicted);
    // The band is that of the last close.
    accepted(running.desk.submit(client("A", &other("o"), buy(1, "119.00"))).await);
    let outside = running.desk.submit(client("A", &other("outside"), buy(1, "130.00"))).await;
    assert!(matches!(outside, Answer::Answered(_)), "{outside:?}");
}

#[tokio::test]
async fn a_restart_over_files_answers_facts_of_before_and_reads_only_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Driven::at(MORNING);
    for round in 0..3 {
        let log = Arc::new(Sqlite::open(folder.path(), Options::default()).await.unwrap());
        let store = snapshot::sqlite::Sqlite::open(folder.path(), log.commands_id()).await.unwrap();
        let store: Arc<dyn SnapshotStore> = Arc::new(store);
        let watched = Arc::new(Watched { log: Arc::clone(&log) as _, between: Noted::default() });
        let end = log.tail(Topic::Market, 0).await.unwrap();
        let running = Started::over(Arc::clone(&watched) as _, small(&clock, Arc::clone(&store))).await;
        assert_eq!(watched.first(), end, "an orderly stop leaves nothing to be read");
        if round == 0 {
            day_one(&running).await;
        }
        is_known(&running, round).await;
        running.stop().await;
        log.close().await;
    }
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_is_not_believed_and_made_anew() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let config = || small(&clock, Arc::new(store.clone()));
    let running = started(&log, config()).await;
    day_one(&running).await;
    running.stop().await;
    let spoils: [fn(&Item) -> Option<Bytes>; 2] = [
        // Cut short; and another key's.
        |item| Some(item.blob.slice(..item.blob.len() / 2)),
        |item| (&*item.key == "119551").then(|| Bytes::from_static(b"\x06119552\0\0\0\0")),
    ];
    for (round, spoil) in spoils.into_iter().enumerate() {
        let state = store.state(FACTS).await.unwrap().expect("a snapshot was saved");
        let before = store.page(FACTS, None, 1_000).await.unwrap();
        let spoiled = before.iter().filter_map(|item| Some(Item { blob: spoil(item)?, ..item.clone() })).collect();
        let onto = state.reader.offset;
        store.save(FACTS, Save { onto, state, items: spoiled, removed: Vec::new(), known: Vec::new() }).await.unwrap();
        let watched = Watched::over(&log);
        let running = Started::over(Arc::clone(&watched) as _, config()).await;
        assert_eq!(watched.first(), 0);
        is_known(&running, round).await;
        running.stop().await;
        let keys = |items: &[Item]| items.iter().map(|item| item.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&store.page(FACTS, None, 1_000).await.unwrap()), keys(&before));
    }
}

#[tokio::test]
async fn writers_apart_begin_where_the_market_was_saved_and_forget_none_of_it() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let put = log.requests();
    let requests = || Requests::new(Arc::new(put.clone()));
    let config = || small(&clock, Arc::new(store.clone()));
    for round in 0..3 {
        let watched = Watched::over(&log);
        // The ledger's writer follows the market also where nobody writes it.
        let market = (round != 1).then_some((Topic::Market, 0));
        let given = [(Topic::Ledger, 0)].into_iter().chain(market).collect();
        let (_given, gives) = watch::channel(given);
        let writing = write(Arc::clone(&watched) as _, requests(), config(), gives).await.unwrap();
        let remote = remote::open(Arc::clone(&watched) as _, requests(), config()).await.unwrap();
        if round == 0 {
            accepted(remote.desk.submit_fact(fact("list", reliance())).await);
            for day in 2..12 {
                accepted(remote.desk.submit_fact(fact(&format!("price-{day}"), day_price(day, "100.00"))).await);
            }
            accepted(remote.desk.submit(client("A", "open", open())).await);
            accepted(remote.desk.submit(client("A", "d", deposit("1000.00"))).await);
        } else {
            let state = store.state(FACTS).await.unwrap().expect("a snapshot was saved");
            assert!(watched.first() >= 10 && state.reader.offset >= 10, "read from {}", watched.first());
            let known = remote.desk.fact_outcome(Submitter::Operator, &id("price-4")).await.expect("it has an outcome");
            assert_eq!(known.outcome.seq, 4);
        }
        if market.is_some() {
            let again = answered(remote.desk.submit_fact(fact("price-4", day_price(4, "100.00"))).await);
            assert_eq!(again.outcome.seq, 4);
        }
        accepted(remote.desk.submit(client("A", &format!("o{round}"), buy(1, "110.00"))).await);
        writing.stop().await;
        decided_again(&log).await;
    }
}
