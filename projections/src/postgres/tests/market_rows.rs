//! The market in memory, begun from its rows in tables instead of from the first record.

use super::*;
use crate::{AsOf, Moment, Page, Worker, past, prices::PriceRow, testing::scheme};
use domain::{
    cash::Deposit,
    ids::InstrumentId,
    market::{CalendarDay, DayKind, MarketEventData},
    order::Side::Buy,
    time::Date,
};
use event_schemas::entry::{decode_market_entry, encode_market_entry};
use std::collections::BTreeMap;

/// A market begun from tables, up to the end of the log.
pub(super) async fn begun(rows: &Postgres, log: &Memory, end: &Position) -> (Arc<Views>, Worker) {
    let market = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    let worker = rows.follow_market(Arc::new(log.clone()), Arc::clone(&market)).await.expect("it is followed");
    market.see_ledger(end);
    assert!(market.wait_for(end, WAIT).await, "it reaches the end");
    (market, worker)
}

/// The same rows, those that no hash is made of too.
pub(super) fn is_equal(market: &Views, expected: &Views) {
    let hashes = |views: &Views| -> Vec<_> {
        let of_market = |name: &str| View::ALL.iter().any(|view| view.name() == name && view.topic() == Topic::Market);
        views.state_hashes().hashes.into_iter().filter(|(name, _)| of_market(name)).collect()
    };
    assert_eq!(hashes(market), hashes(expected));
    assert_eq!(hashes(market).len(), 3);
    let prices = |views: &Views| -> BTreeMap<InstrumentId, PriceRow> {
        views.prices.read().iter().map(|(id, row)| (*id, row.clone())).collect()
    };
    assert_eq!(prices(market), prices(expected));
    assert_eq!(*market.instruments.read(), *expected.instruments.read());
    assert_eq!(*market.navs.read(), *expected.navs.read());
}

fn day(date: &str) -> CalendarDay {
    let date = Date::parse(date).expect("a date");
    let exchange = domain::ids::Exchange::new("NSE").expect("an exchange");
    CalendarDay { exchange, date, kind: DayKind::Holiday, open: None, close: None, settlement: None, corrects: None }
}

/// Live prices of an instrument, one every second from an hour on.
fn tick(ledger: &mut Ledger, hour: u32, many: u32, from: i64) {
    for second in 0..many {
        ledger.at(&format!("2026-11-23T{hour:02}:{:02}:{:02}+05:30", second / 60, second % 60));
        let last = domain::money::Price::from_smallest(from + 10_000 * i64::from(second));
        ledger.fact(LastPrice { instrument: crate::testing::instrument("ALFA"), last, at: ledger.now() });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_begun_from_tables_is_that_of_a_replay_whatever_is_told_before_and_after() {
    for seed in 71..=73 {
        let (own, mut draws, mut ledger) = (Own::new().await, Draws(seed), Ledger::new(3));
        let log = ledger.log().await;
        let rows = own.views(&log).await;
        // Nobody has folded anything yet.
        let expected = replayed(&log).await;
        is_equal(&begun(&rows, &log, &expected.position).await.0, &expected.views);
        ledger.fact(day("2026-12-25"));
        wander(&mut ledger, &mut draws, 400);
        tick(&mut ledger, 23, 300, 1_000_000);
        ledger.append_to(&log).await;
        let projector = Projector::start(Arc::new(log.clone()), rows.clone(), clock());
        let expected = replayed(&log).await;
        caught_up(&projector, &expected).await;
        is_equal(&begun(&rows, &log, &expected.position).await.0, &expected.views);
        // What comes when nobody projects is folded in memory alone, and what is there already is not folded again.
        projector.stop().await;
        wander(&mut ledger, &mut draws, 200);
        ledger.append_to(&log).await;
        let expected = replayed(&log).await;
        let (market, worker) = begun(&rows, &log, &expected.position).await;
        is_equal(&market, &expected.views);
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_tables_is_not_read_from_the_log_unless_it_cannot_be_gone_on_from() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(74), Ledger::new(2));
    wander(&mut ledger, &mut draws, 100);
    let log = ledger.log().await;
    let rows = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), rows.clone(), clock());
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    let begun = async || begun(&rows, &log, &expected.position).await.0;
    is_equal(&*begun().await, &expected.views);
    own.run("delete from schemes where scheme = '100002'").await;
    let market = begun().await;
    assert!(market.navs.read().schemes[&scheme("100002")].scheme.is_none(), "it is as the tables have it");
    let mends = [
        ("update schemes set row = 'x'", "delete from schemes"),
        ("insert into view_stops values ('prices', 1, 5, 'once', now())", "delete from view_stops"),
        (
            "update checkpoints set next_offset = next_offset + 1 where topic = 'bahi.market' and partition = 1",
            "update checkpoints set next_offset = next_offset - 1 where topic = 'bahi.market' and partition = 1",
        ),
        ("update checkpoints set next_offset = 0 where topic = 'bahi.market'", "select 1"),
    ];
    for (damage, mend) in mends {
        own.run(damage).await;
        is_equal(&*begun().await, &expected.views);
        own.run(mend).await;
    }
    own.run("drop table price_facts cascade").await;
    let market = Views::new(2, 2);
    let failed = rows.follow_market(Arc::new(log.clone()), market).await.err().expect("a table is missing");
    assert!(failed.to_string().contains("run `bahi migrate`"), "{failed}");
}

/// An entry as the last one of its partition, with a price that would be later, that no reader counts.
async fn append_dead_price(log: &Memory, partition: u32) {
    let last = records(log, Topic::Market, partition).await.pop().expect("a record");
    let (mut record, mut bytes) = (last.record.clone(), Vec::new());
    let mut entry = decode_market_entry(&record.value).expect("an entry").into_owned();
    let MarketEventData::Last(fact) = &mut entry.events[0].data else { panic!("the last fact is a live price") };
    fact.last = price("999.00");
    encode_market_entry(&entry, &mut bytes);
    record.value = bytes.into();
    log.append(Topic::Market, partition, None, vec![record]).await.expect("it lands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_valued_with_live_prices_from_before_the_tables_and_none_that_does_not_count() {
    let (own, mut ledger, id) = (Own::new().await, Ledger::new(1), account(1));
    ledger.open(&id, "10000.00");
    ledger.trade(&id, "ALFA", Buy, 10, "100.00");
    tick(&mut ledger, 11, 151, 1_000_000);
    ledger.command(&id, Deposit { amount: money("1.00") });
    let log = ledger.log().await;
    append_dead_price(&log, 0).await;
    let rows = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), rows.clone(), clock());
    let expected = replayed(&log).await;
    assert_eq!(expected.dead, 1);
    caught_up(&projector, &expected).await;
    let (market, _worker) = begun(&rows, &log, &expected.position).await;
    is_equal(&market, &expected.views);
    let valued = async |moment: Moment| {
        let then = past(&log, &market, &id, moment).await.expect("it was");
        then.reading().portfolio(&Page::default()).expect("a portfolio").totals().value
    };
    let (bought, last) = (AsOf::Offset(5), log.tail(Topic::Ledger, 0).await.expect("a tail") - 1);
    assert_eq!(valued(bought.into()).await, money("1000.00"), "at the close of the day before");
    // The deposit was decided after 151 live prices, the last of them 100 + 150.
    assert_eq!(valued(AsOf::Offset(last).into()).await, money("2500.00"));
    assert_eq!(valued(AsOf::Time(ledger.now()).into()).await, money("2500.00"), "not at what does not count");
    for (second, value) in [(0, "1000.00"), (63, "1630.00"), (64, "1640.00"), (100, "2000.00"), (149, "2490.00")] {
        let at = Timestamp::parse(&format!("2026-11-23T11:{:02}:{:02}+05:30", second / 60, second % 60));
        let at = at.expect("a time");
        assert_eq!(valued(AsOf::Time(at).into()).await, money(value), "recorded within {second} s");
        let effective = Moment { recorded: None, effective_at: Some(at) };
        assert_eq!(valued(effective).await, money(value), "traded within {second} s");
    }
}
