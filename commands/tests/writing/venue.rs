//! The simulated exchange and registrar, seen from the ledger.

use crate::common::*;
use commands::{Config, Running};
use domain::{
    calendar::CalendarMode,
    command::Submitter,
    event::EventData,
    fund,
    ids::OrderId,
    market::{DayNav, Scheme},
    money::{Money, Nav, Quantity, Units},
    order::{Cancel, Modify, OrderType, Validity},
    time::Date,
};
use event_log::memory::Memory;
use event_schemas::Entry;
use std::sync::Arc;

fn simulated(clock: &Arc<Driven>, calendar: CalendarMode) -> Config {
    Config { simulated_venue: true, calendar, ..config(clock) }
}

async fn funded(log: &Memory, config: Config) -> Running {
    let running = started(log, config).await;
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    accepted(running.desk.submit_fact(fact("p1", last("2500.00", MORNING))).await);
    insist(&running, client("A", "open", open())).await;
    insist(&running, client("A", "d", deposit("10000000.00"))).await;
    running
}

async fn place(running: &Running, key: &str, order: domain::order::Place) -> OrderId {
    let placed = accepted(running.desk.submit(client("A", key, order)).await);
    OrderId { account: account("A"), seq: placed.outcome.seq }
}

/// The fill of an order, once it is recorded.
async fn filled(log: &Memory, order_id: OrderId) -> domain::order::Filled {
    let fits = |entry: &Entry<'_>| filled_in(entry, order_id).is_some();
    filled_in(&await_entry(log, fits).await, order_id).unwrap()
}

fn filled_in(entry: &Entry<'_>, order_id: OrderId) -> Option<domain::order::Filled> {
    entry.events.iter().find_map(|event| match &event.data {
        EventData::OrderFilled(filled) if filled.order_id == order_id => Some(filled.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn a_marketable_limit_order_fills_at_the_last_price_and_another_rests_until_it_is() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = funded(&log, simulated(&clock, CalendarMode::Exchange)).await;
    let resting = place(&running, "rest", buy(5, "2400.00")).await;
    let order = place(&running, "o", buy(10, "2550.00")).await;
    let fill = filled(&log, order).await;
    assert_eq!((fill.price.to_string(), fill.quantity), ("2500.00".into(), Quantity::new(10)));
    assert!(live(&log).await.iter().all(|entry| filled_in(entry, resting).is_none()));
    accepted(running.desk.submit_fact(fact("p2", last("2390.00", "2026-11-24T10:01:00+05:30"))).await);
    assert_eq!(filled(&log, resting).await.price.to_string(), "2390.00");
    running.stop().await;
}

#[tokio::test]
async fn an_order_for_a_later_session_waits_accepted_until_it_opens() {
    let (log, clock) = (Memory::new(1), Driven::at("2026-11-24T16:00:00+05:30"));
    let running = funded(&log, simulated(&clock, CalendarMode::Exchange)).await;
    let order = place(&running, "o", market_buy(10)).await;
    await_entry(&log, |entry| matches!(&entry.events[..], [e] if matches!(e.data, EventData::OrderAccepted(_)))).await;
    insist(&running, client("B", "open", open())).await;
    assert!(live(&log).await.iter().all(|entry| filled_in(entry, order).is_none()));
    clock.set("2026-11-25T09:15:00+05:30");
    assert_eq!(filled(&log, order).await.trade_date, Date::parse("2026-11-25").unwrap());
    running.stop().await;
}

#[tokio::test]
async fn changes_cancellations_and_immediate_orders_are_answered_at_once() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = funded(&log, simulated(&clock, CalendarMode::AlwaysOpen)).await;
    let order_id = place(&running, "o", buy(10, "2400.00")).await;
    let of = |kind: &'static str| move |entry: &Entry<'_>| entry.events.iter().any(|e| e.data.type_name() == kind);
    await_entry(&log, of("order_accepted")).await;
    let modify = Modify {
        order_id,
        quantity: Some(Quantity::new(7)),
        price: None,
        trigger_price: None,
        order_type: None,
        validity: None,
    };
    accepted(running.desk.submit(client("A", "m", modify)).await);
    await_entry(&log, of("order_modified")).await;
    accepted(running.desk.submit(client("A", "c", Cancel { order_id, due_to: None })).await);
    let cancelled = await_entry(&log, of("order_cancelled")).await;
    assert_eq!(cancelled.command.id, "cancel/A-3/7");
    let ioc = domain::order::Place { validity: Validity::Ioc, ..buy(1, "2400.00") };
    let ioc = place(&running, "ioc", ioc).await;
    await_entry(&log, |entry| entry.command.id == format!("ioc/{ioc}").as_str()).await;
    running.stop().await;
}

#[tokio::test]
async fn partial_fills_add_up_and_a_restart_goes_on_where_it_was() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let without = funded(&log, config(&clock)).await;
    let mut orders = Vec::new();
    for number in 0..12 {
        let order = domain::order::Place { order_type: OrderType::Market, price: None, ..buy(9, "1.00") };
        orders.push(place(&without, &format!("o{number}"), order).await);
    }
    without.stop().await;
    let seeded = Config { partial_fills_seed: Some(7), ..simulated(&clock, CalendarMode::Exchange) };
    for _ in 0..2 {
        let running = started(&log, seeded.clone()).await;
        for order in &orders {
            let whole = |entry: &Entry<'_>| filled_in(entry, *order).is_some_and(|fill| fill.pending.is_zero());
            await_entry(&log, whole).await;
        }
        running.stop().await;
    }
    let entries = live(&log).await;
    let fills: Vec<_> = orders
        .iter()
        .map(|order| entries.iter().filter_map(|entry| filled_in(entry, *order)).map(|f| f.quantity.shares()).collect())
        .collect::<Vec<Vec<i64>>>();
    assert!(fills.iter().all(|parts| parts.iter().sum::<i64>() == 9), "{fills:?}");
    assert!(fills.iter().any(|parts| parts.len() == 2), "{fills:?}");
}

fn scheme() -> Scheme {
    Scheme {
        scheme: "119551".parse().unwrap(),
        name: "Flexi Cap Fund - Direct - Growth".into(),
        isin_growth: None,
        isin_reinvestment: None,
        amc: None,
        category: Some("Equity Scheme - Flexi Cap Fund".into()),
        plan: None,
        option: None,
        corrects: None,
    }
}

fn nav(date: &str, nav: &str) -> DayNav {
    let date = Date::parse(date).unwrap();
    DayNav { scheme: "119551".parse().unwrap(), date, nav: Nav::parse(nav).unwrap(), corrects: None }
}

#[tokio::test]
async fn the_registrar_waits_for_the_nav_of_the_day_whose_cut_off_came_after_the_money() {
    // Friday after the cut-off: Monday's NAV applies, whatever is published before.
    let (log, clock) = (Memory::new(1), Driven::at("2026-11-27T15:00:01+05:30"));
    let running = funded(&log, simulated(&clock, CalendarMode::Exchange)).await;
    accepted(running.desk.submit_fact(fact("s", scheme())).await);
    accepted(running.desk.submit_fact(fact("n0", nav("2026-11-27", "40.0000"))).await);
    let amount = Money::parse("5000.00").unwrap();
    let purchase = fund::Purchase { scheme: "119551".parse().unwrap(), amount, folio: None };
    accepted(running.desk.submit(client("A", "buy", purchase)).await);
    await_entry(&log, |entry| entry.command.kind == "send_fund_order").await;
    insist(&running, client("B", "open", open())).await;
    accepted(running.desk.submit_fact(fact("n1", nav("2026-11-30", "50.0000"))).await);
    let allotted = await_entry(&log, |entry| entry.command.kind == "report_allotment").await;
    let EventData::FundUnitsAllotted(first) = &allotted.events[0].data else { panic!("{:?}", allotted.events) };
    assert_eq!(first.nav_date, Date::parse("2026-11-30").unwrap());
    assert_eq!((first.units, first.stamp_duty), (Units::parse("99.995").unwrap(), Money::parse("0.25").ok()));
    assert!(first.applied && first.mismatch.is_empty());

    clock.set("2026-12-01T14:59:59+05:30");
    let redemption = fund::Redemption {
        scheme: "119551".parse().unwrap(),
        folio: first.folio,
        units: None,
        amount: None,
        all: Some(true),
    };
    accepted(running.desk.submit(submission("A", "sell", Submitter::Client, redemption)).await);
    accepted(running.desk.submit_fact(fact("n2", nav("2026-12-01", "51.0000"))).await);
    let redeemed = |entry: &Entry<'_>| entry.events.iter().any(|e| matches!(e.data, EventData::FundUnitsRedeemed(_)));
    let redeemed = await_entry(&log, redeemed).await;
    let EventData::FundUnitsRedeemed(e) = &redeemed.events[0].data else { panic!("{:?}", redeemed.events) };
    assert_eq!((e.nav_date, e.pays_on), (Date::parse("2026-12-01").unwrap(), Date::parse("2026-12-03").unwrap()));
    assert_eq!(e.amount, Money::parse("5099.75").unwrap());
    running.stop().await;
}

fn liquid() -> Scheme {
    let category = Some("Open Ended Schemes(Debt Scheme - Liquid Fund)".into());
    Scheme { name: "Liquid Fund - Direct - Growth".into(), category, ..scheme() }
}

fn buying(amount: &str, folio: Option<domain::ids::Folio>) -> fund::Purchase {
    fund::Purchase { scheme: "119551".parse().unwrap(), amount: Money::parse(amount).unwrap(), folio }
}

/// The so-manieth applied allotment, once it is recorded.
async fn allotted(log: &Memory, nth: usize) -> fund::Allotted {
    let of = |entry: &Entry<'_>| {
        entry.events.iter().find_map(|event| match &event.data {
            EventData::FundUnitsAllotted(allotted) if allotted.applied => Some(allotted.clone()),
            _ => None,
        })
    };
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let fits =
        |entry: &Entry<'_>| of(entry).is_some() && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 >= nth;
    of(&await_entry(log, fits).await).unwrap()
}

#[tokio::test]
async fn a_liquid_purchase_gets_the_nav_of_the_day_before_and_its_redemption_pays_the_next_day() {
    let (log, clock) = (Memory::new(1), Driven::at("2026-11-25T13:29:59+05:30"));
    let running = funded(&log, simulated(&clock, CalendarMode::Exchange)).await;
    accepted(running.desk.submit_fact(fact("s", liquid())).await);
    accepted(running.desk.submit_fact(fact("n0", nav("2026-11-24", "1000.0000"))).await);
    accepted(running.desk.submit(client("A", "buy", buying("5000.00", None))).await);
    let first = allotted(&log, 1).await;
    assert_eq!((first.nav_date.to_string(), first.units), ("2026-11-24".into(), Units::parse("4.999").unwrap()));

    clock.set("2026-11-25T14:59:59+05:30");
    let (scheme, folio) = ("119551".parse().unwrap(), first.folio);
    let redemption = fund::Redemption { scheme, folio, units: None, amount: None, all: Some(true) };
    accepted(running.desk.submit(client("A", "sell", redemption)).await);
    accepted(running.desk.submit_fact(fact("n1", nav("2026-11-25", "1001.0000"))).await);
    let redeemed = |entry: &Entry<'_>| entry.events.iter().any(|e| matches!(e.data, EventData::FundUnitsRedeemed(_)));
    let redeemed = await_entry(&log, redeemed).await;
    let EventData::FundUnitsRedeemed(e) = &redeemed.events[0].data else { panic!("{:?}", redeemed.events) };
    assert_eq!((e.nav_date.to_string(), e.pays_on.to_string()), ("2026-11-25".into(), "2026-11-26".into()));
    running.stop().await;
}

#[tokio::test]
async fn a_nav_that_comes_days_late_allots_at_its_own_day_into_the_folio_named() {
    let (log, clock) = (Memory::new(1), Driven::at("2026-11-25T10:00:00+05:30"));
    let running = funded(&log, simulated(&clock, CalendarMode::Exchange)).await;
    accepted(running.desk.submit_fact(fact("s", scheme())).await);
    accepted(running.desk.submit(client("A", "first", buying("5000.00", None))).await);
    accepted(running.desk.submit_fact(fact("n0", nav("2026-11-25", "40.0000"))).await);
    let first = allotted(&log, 1).await;
    clock.set("2026-11-26T10:00:00+05:30");
    accepted(running.desk.submit(client("A", "again", buying("1000.00", Some(first.folio)))).await);
    accepted(running.desk.submit(client("A", "other", buying("1000.00", None))).await);
    // The NAVs of later days come first and are nobody's; the day's own comes on the 30th.
    clock.set("2026-11-30T10:00:00+05:30");
    accepted(running.desk.submit_fact(fact("n2", nav("2026-11-27", "60.0000"))).await);
    accepted(running.desk.submit_fact(fact("n1", nav("2026-11-26", "50.0000"))).await);
    let (second, third) = (allotted(&log, 2).await, allotted(&log, 3).await);
    for late in [&second, &third] {
        assert_eq!((late.nav_date.to_string(), late.nav.to_string()), ("2026-11-26".into(), "50.0000".into()));
        assert_eq!(late.units, Units::parse("19.999").unwrap());
    }
    assert_eq!(second.folio, first.folio);
    assert_ne!(third.folio, first.folio);
    running.stop().await;
}
