//! Following a log: what was folded is published, what cannot be folded stops alone, pages find their way.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use domain::{
    cash::Deposit,
    order::Side::{Buy, Sell},
};
use event_log::{EventLog, Topic};
use projections::{
    AsOf, Error, Page, Position, Replay, View, Views, events, follow, follow_market, offsets, order_history, past,
    replay,
    testing::{Ledger, account, day_price, instrument, money, place},
    venue_requests,
};
use std::{collections::BTreeSet, sync::Arc};
use support::{WAIT, everything};

async fn following(ledger: &Ledger) -> (Arc<dyn EventLog>, Arc<Views>, projections::Worker) {
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let partitions = log.partitions(Topic::Ledger);
    let views = Views::new(partitions, partitions);
    let worker = follow(Arc::clone(&log), Arc::clone(&views));
    let mut end = Position::default();
    for topic in Topic::ALL {
        for partition in 0..partitions {
            let tail = log.tail(topic, partition).await.unwrap();
            end.merge(&Position::after(topic, partition, tail - 1));
        }
    }
    assert!(views.wait_for(&end, WAIT).await, "the views reach the end");
    (log, views, worker)
}

#[tokio::test]
async fn the_market_alone_is_followed_for_who_reads_accounts_elsewhere() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "500.00");
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let views = Views::new(1, 1);
    let worker = follow_market(Arc::clone(&log), Arc::clone(&views));
    let end = Position::after(Topic::Market, 0, log.tail(Topic::Market, 0).await.unwrap() - 1);
    assert!(views.wait_for(&end, WAIT).await);
    let alfa = views.market().quote(&instrument("ALFA")).unwrap();
    assert_eq!(alfa.last.map(|price| price.to_string()).as_deref(), Some("100.00"));
    worker.stop().await;
    assert_eq!(views.position().next(Topic::Ledger, 0), Some(0));
    assert!(views.accounts().is_empty());
}

#[tokio::test]
async fn an_entry_that_one_view_cannot_fold_stops_that_view_in_that_partition_only() {
    let mut ledger = Ledger::new(2);
    let rich = (0..).map(account).find(|id| ledger_partition(id) == 0).unwrap();
    let other = (0..).map(account).find(|id| ledger_partition(id) == 1).unwrap();
    ledger.open(&rich, "100.00");
    ledger.open(&other, "100.00");
    // Settled cash beyond what an amount can hold: the sum panics.
    let poisoned = ledger.log().await;
    let most = domain::money::Money::from_smallest(i64::MAX);
    let deposited = domain::event::EventData::CashDeposited(domain::cash::Deposited { amount: most });
    append_changed(&poisoned, |entry| entry.events[0].data = deposited).await;
    let port: Arc<dyn EventLog> = Arc::new(poisoned.clone());
    let views = Views::new(2, 2);
    let _worker = follow(Arc::clone(&port), Arc::clone(&views));
    let end = Position::after(Topic::Ledger, 0, port.tail(Topic::Ledger, 0).await.unwrap() - 1);
    assert!(views.wait_for(&end, WAIT).await, "other views go on behind it");
    let stops = views.stops();
    assert_eq!(stops.iter().map(|stop| (stop.view, stop.partition)).collect::<Vec<_>>(), [(View::Cash, 0)]);
    let answer =
        views.read(&rich, |reading| (reading.cash().err(), reading.account().map(|a| a.entries).ok())).unwrap();
    assert!(matches!(answer, (Some(Error::Stopped { view: View::Cash, partition: 0, .. }), Some(3))), "{answer:?}");
    assert!(views.read(&other, |reading| reading.cash().is_ok()).unwrap());
}

fn ledger_partition(id: &domain::ids::AccountId) -> u32 {
    event_log::partition_of(id.as_str(), 2)
}

/// Appends the last entry once more, numbered on and changed as no writer would.
async fn append_changed(log: &event_log::memory::Memory, change: impl FnOnce(&mut event_schemas::Entry<'static>)) {
    let offset = log.tail(Topic::Ledger, 0).await.unwrap() - 1;
    let last = log.read_at(Topic::Ledger, 0, vec![offset]).await.unwrap().remove(0);
    let mut entry = event_schemas::decode_entry(&last.record.value).unwrap().into_owned();
    (entry.seq, entry.source) = (entry.seq + 1, entry.source + 1);
    change(&mut entry);
    let mut record = last.record.clone();
    let mut bytes = Vec::new();
    event_schemas::encode_entry(&entry, &mut bytes);
    record.value = bytes.into();
    record.headers.ce_id = entry.ce_id().into();
    record.headers.ce_time = entry.recorded_at.micros();
    (record.headers.source, record.headers.after) = (entry.source, entry.source - 1);
    log.append(Topic::Ledger, 0, None, vec![record]).await.unwrap();
}

#[tokio::test]
async fn a_check_finds_a_missing_number_and_a_time_that_went_back() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "100.00");
    let changes: [fn(&mut event_schemas::Entry<'static>); 2] =
        [|entry| entry.seq += 1, |entry| entry.recorded_at = entry.recorded_at.plus_micros(-1)];
    for (change, word) in changes.into_iter().zip(["seq 4 where 3", "before an earlier"]) {
        let log = ledger.log().await;
        append_changed(&log, change).await;
        let found = projections::verify(Arc::new(log), Replay::default(), |_| ()).await.unwrap().difference.unwrap();
        assert!(found.offset == 3 && found.what.contains(word), "{found}");
    }
}

#[tokio::test]
async fn an_entry_that_nobody_can_read_stops_all_but_the_journal() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "100.00");
    ledger.poison(&account(1));
    let (log, views, _worker) = following(&ledger).await;
    let stopped: BTreeSet<View> = views.stops().into_iter().map(|stop| stop.view).collect();
    assert_eq!(stopped, BTreeSet::from([View::Orders, View::Trades, View::Portfolio, View::Pnl, View::Cash]));
    assert_eq!(offsets(&*log, &views, &account(1)).await.unwrap().len(), 3, "the journal counts what nobody can read");
    let verified = projections::verify(log, Replay::default(), |_| ()).await.unwrap();
    assert_eq!(verified.difference.map(|found| found.offset), Some(3));
}

#[tokio::test]
async fn state_hashes_do_not_depend_on_where_records_stand_or_how_many_threads_fold() {
    let mut ledger = Ledger::new(1);
    let mut many = Ledger::new(3);
    for ledger in [&mut ledger, &mut many] {
        for number in 0..5 {
            ledger.open(&account(number), "10000.00");
            ledger.trade(&account(number), "ALFA", Buy, 10, "100.00");
            ledger.trade(&account(number), "ALFA", Sell, 4, "101.00");
        }
    }
    let threads = |threads| Replay { threads: std::num::NonZeroUsize::new(threads), ..Replay::default() };
    let one = replay(Arc::new(ledger.log().await), threads(1), |_| ()).await.unwrap().views.state_hashes();
    let three = replay(Arc::new(many.log().await), threads(3), |_| ()).await.unwrap().views.state_hashes();
    for (a, b) in one.hashes.iter().zip(&three.hashes).filter(|(a, _)| a.0 != "journal") {
        assert_eq!(a, b);
    }
}

#[tokio::test]
async fn the_past_is_valued_with_the_prices_of_then() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "10000.00");
    ledger.trade(&account(1), "ALFA", Buy, 10, "100.00");
    let (offset, time) = (5, ledger.now());
    for minute in 0..200 {
        ledger.at(&format!("2026-11-23T11:{:02}:{:02}+05:30", minute / 60, minute % 60));
        let last = domain::money::Price::from_smallest(1_000_000 + 10_000 * minute);
        ledger.fact(domain::market::LastPrice { instrument: instrument("ALFA"), last, at: ledger.now() });
        if minute == 150 {
            ledger.command(&account(1), Deposit { amount: money("1.00") });
        }
    }
    ledger.fact(day_price("ALFA", "2026-11-23", "300.00"));
    let (log, views, _worker) = following(&ledger).await;
    let value = |reading: &projections::Reading<'_>| reading.portfolio(&Page::default()).unwrap().totals().value;
    let then = past(&*log, &views, &account(1), AsOf::Offset(offset)).await.unwrap();
    assert_eq!(value(&then.reading()), money("1000.00"), "at the close of the day before");
    let then = past(&*log, &views, &account(1), AsOf::Time(time)).await.unwrap();
    assert_eq!(value(&then.reading()), money("1000.00"));
    // The deposit was decided after 151 live prices, the last of them 100 + 150.
    let then = past(&*log, &views, &account(1), AsOf::Offset(offset + 1)).await.unwrap();
    assert_eq!(value(&then.reading()), money("2500.00"));
    assert_eq!(views.read(&account(1), value), Some(money("2990.00")));
    let later = past(&*log, &views, &account(1), AsOf::Offset(1000)).await.err();
    assert!(matches!(later, Some(Error::NotYet { offset: 1000, end: 7 })), "{later:?}");
}

fn written_equals_serialized(reading: &projections::Reading<'_>, page: &Page<'_>) {
    let portfolio = reading.portfolio(page).unwrap();
    let mut written = Vec::new();
    portfolio.write_json(&mut written);
    assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&portfolio).unwrap());
}

#[tokio::test]
async fn pages_walk_events_and_a_portfolio_without_a_gap_or_a_repeat() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "100000.00");
    for _ in 0..7 {
        ledger.trade(&account(1), "ALFA", Buy, 1, "100.00");
        ledger.trade(&account(1), "BETA", Buy, 1, "50.00");
    }
    let (log, views, _worker) = following(&ledger).await;
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = Page { limit: Some(5), cursor: cursor.as_deref() };
        let answer = events(&*log, &views, &account(1), None, &page).await.unwrap();
        found.extend(answer.items.iter().map(|item| item.offset));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, offsets(&*log, &views, &account(1)).await.unwrap());

    let page = Page { limit: Some(1), cursor: None };
    let portfolio = |page: &Page<'_>| {
        views.read(&account(1), |reading| written_equals_serialized(reading, page)).unwrap();
        views.read(&account(1), |reading| serde_json::to_value(reading.portfolio(page).unwrap()).unwrap()).unwrap()
    };
    let first = portfolio(&page);
    assert_eq!(first["items"][0]["instrument"], "NSE:ALFA");
    let second = portfolio(&Page { limit: Some(1), cursor: first["next_cursor"].as_str() });
    assert_eq!(second["items"][0]["instrument"], "NSE:BETA");
    assert_eq!((&second["next_cursor"], &second["totals"]), (&serde_json::Value::Null, &first["totals"]));
}

#[tokio::test]
async fn an_orders_history_holds_each_event_about_it_and_no_other() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "100000.00");
    let order = ledger.trade(&account(1), "ALFA", Buy, 2, "100.00");
    ledger.trade(&account(1), "BETA", Buy, 1, "50.00");
    let (log, views, _worker) = following(&ledger).await;
    let history = order_history(&*log, &views, &order).await.unwrap();
    let types: Vec<&str> = history.items.iter().map(|item| item.event.data.type_name()).collect();
    assert_eq!(types, ["order_requested", "order_accepted", "order_filled"]);
    let json = serde_json::to_value(&history).unwrap();
    assert_eq!(json["items"][2]["data"]["quantity"], 2);
}

#[tokio::test]
async fn a_venue_follows_requests_from_where_it_left_off() {
    let mut ledger = Ledger::new(2);
    for number in 0..4 {
        ledger.open(&account(number), "100000.00");
        ledger.command(&account(number), place("ALFA", Buy, 1, "100.00"));
    }
    let log = ledger.log().await;
    let (mut accounts, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..4 {
        let page = Page { limit: Some(1), cursor: cursor.as_deref() };
        let found = venue_requests(&log, &page).await.unwrap();
        accounts.extend(found.items.iter().map(|request| request.account));
        cursor = Some(found.next_cursor);
    }
    let none = venue_requests(&log, &Page { limit: None, cursor: cursor.as_deref() }).await.unwrap();
    assert_eq!(none.items, []);
    accounts.sort_unstable();
    assert_eq!(accounts, [0, 1, 2, 3].map(account));
    let order_id = domain::ids::OrderId { account: account(2), seq: 3 };
    ledger.command(&account(2), domain::order::Cancel { order_id, due_to: None });
    ledger.append_to(&log).await;
    let next = venue_requests(&log, &Page { limit: None, cursor: Some(&none.next_cursor) }).await.unwrap();
    assert_eq!(serde_json::to_value(&next.items).unwrap()[0]["request"], "cancel");
}

#[tokio::test]
async fn a_view_answers_the_same_after_everything_is_folded_again() {
    let mut ledger = Ledger::new(1);
    let mut draw = 7_u64;
    for _ in 0..400 {
        ledger.wander(&account(1), &mut |below| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (draw >> 33) % below.max(1)
        });
    }
    let (log, views, _worker) = following(&ledger).await;
    let again = replay(log, Replay::default(), |_| ()).await.unwrap().views;
    views.read(&account(1), |reading| written_equals_serialized(reading, &Page::default())).unwrap();
    assert_eq!(views.read(&account(1), everything), again.read(&account(1), everything));
    let mut types = BTreeSet::new();
    for entry in support::entries(&ledger).await {
        types.extend(entry.events.iter().map(|event| event.data.type_name()));
    }
    assert!(types.len() >= 22, "a long history has nearly every event, this one {types:?}");
}
