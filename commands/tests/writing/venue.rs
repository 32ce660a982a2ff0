//! The simulated exchange and registrar, seen from the ledger.

use crate::common::*;
use commands::{Config, Running};
use domain::{
    calendar::CalendarMode,
    command::Submitter,
    event::EventData,
    fund,
    ids::OrderId,
    market::{DayNav, Instrument, Scheme},
    money::{Money, Nav, Percent, Price, Quantity, Units},
    order::{Cancel, Modify, OrderType, Place, Refused, Rejected, Validity},
    time::Date,
};
use event_log::memory::Memory;
use event_schemas::Entry;
use std::sync::Arc;

fn simulated(clock: &Arc<Driven>, calendar: CalendarMode) -> Config {
    Config { simulated_venue: true, calendar, ..config(clock) }
}

async fn funded(log: &Memory, config: Config) -> Started {
    let running = started(log, config).await;
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    accepted(running.desk.submit_fact(fact("p1", last("2500.00", MORNING))).await);
    insist(&running, client("A", "open", open())).await;
    insist(&running, client("A", "d", deposit("10000000.00"))).await;
    running
}

async fn place(running: &Running, key: &str, order: Place) -> OrderId {
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
    let ioc = Place { validity: Validity::Ioc, ..buy(1, "2400.00") };
    let ioc = place(&running, "ioc", ioc).await;
    await_entry(&log, |entry| entry.command.id == format!("ioc/{ioc}").as_str()).await;
    running.stop().await;
}

const OFF_TICK: &str = "the price is not a whole number of ticks";
const OFF_BAND: &str = "the price is outside the band";

/// A listing whose ticks are of 0.05 and whose prices are 2000.00 to 3000.00; no venue is at work.
async fn quiet(log: &Memory, clock: &Arc<Driven>) -> Started {
    let running = funded(log, config(clock)).await;
    let day = closed(Date::parse("2026-11-23").unwrap(), "2500.00");
    accepted(running.desk.submit_fact(fact("close", day)).await);
    running
}

/// The exchange changes its rules: ticks of 0.10, prices of 2250.00 to 2750.00.
async fn narrow(running: &Running) {
    let (tick_size, band_percent) = (Some(Price::parse("0.10").unwrap()), Some(Percent::whole(10)));
    let narrower = Instrument { tick_size, band_percent, corrects: Some(1), ..reliance() };
    accepted(running.desk.submit_fact(fact("narrow", narrower)).await);
}

/// What the venue said to an order, or to what was asked of it, under this key.
async fn said(log: &Memory, key: String) -> EventData {
    let entry = await_entry(log, |entry| entry.command.by.role == Submitter::Venue && entry.command.id == key).await;
    entry.events[0].data.clone()
}

#[tokio::test]
async fn prices_that_passed_the_book_and_no_longer_fit_the_listing_are_rejected_by_the_venue_with_its_reason() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = quiet(&log, &clock).await;
    let stop = |trigger: &str, price: Option<&str>| Place {
        order_type: if price.is_some() { OrderType::Sl } else { OrderType::SlM },
        trigger_price: Some(Price::parse(trigger).unwrap()),
        price: price.map(|price| Price::parse(price).unwrap()),
        ..buy(1, "1.00")
    };
    let cases = [
        (buy(1, "2450.05"), Some(OFF_TICK)),
        (stop("2600.05", None), Some(OFF_TICK)),
        (stop("2600.05", Some("2610.00")), Some(OFF_TICK)),
        (stop("2600.00", Some("2610.05")), Some(OFF_TICK)),
        (buy(1, "2249.90"), Some(OFF_BAND)),
        (buy(1, "2750.10"), Some(OFF_BAND)),
        (stop("2750.10", None), Some(OFF_BAND)),
        (stop("2700.00", Some("2750.10")), Some(OFF_BAND)),
        // The tick is looked at first.
        (buy(1, "2950.05"), Some(OFF_TICK)),
        // What fits is taken to its very ends, and what names no price is not held to one.
        (buy(1, "2250.00"), None),
        (stop("2750.00", None), None),
        (market_buy(1), None),
    ];
    let mut orders = Vec::new();
    for (number, (order, wanted)) in cases.into_iter().enumerate() {
        orders.push((place(&running, &format!("o{number}"), order.clone()).await, order, wanted));
    }
    narrow(&running).await;
    running.stop().await;
    let running = started(&log, simulated(&clock, CalendarMode::Exchange)).await;
    for (order_id, order, wanted) in orders {
        match (said(&log, format!("accept/{order_id}")).await, wanted) {
            (EventData::OrderRejected(rejected), Some(reason)) => {
                let Rejected { refused, cancelled, blocked, applied, flag, .. } = rejected;
                assert_eq!(rejected.reason.as_deref(), Some(reason), "{order:?}");
                assert_eq!((refused, cancelled), (Refused::Order, Quantity::new(1)), "{order:?}");
                assert_eq!((blocked, applied, flag), (None, true, None), "{order:?}");
            }
            (EventData::OrderAccepted(_), None) => {}
            (said, _) => panic!("{said:?} to {order:?}"),
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_change_to_a_price_that_no_longer_fits_is_rejected_with_the_reason_and_the_order_stands() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    quiet(&log, &clock).await.stop().await;
    let running = started(&log, simulated(&clock, CalendarMode::Exchange)).await;
    let mut orders = Vec::new();
    for (key, price, reason) in [("tick", "2450.05", OFF_TICK), ("band", "2100.00", OFF_BAND)] {
        let order_id = place(&running, key, buy(2, "2400.00")).await;
        assert!(matches!(said(&log, format!("accept/{order_id}")).await, EventData::OrderAccepted(_)));
        orders.push((order_id, price, reason));
    }
    running.stop().await;
    let running = started(&log, config(&clock)).await;
    for (order_id, price, _) in &orders {
        let modify = Modify {
            order_id: *order_id,
            quantity: None,
            price: Some(Price::parse(price).unwrap()),
            trigger_price: None,
            order_type: None,
            validity: None,
        };
        insist(&running, client("A", price, modify)).await;
    }
    narrow(&running).await;
    running.stop().await;
    let running = started(&log, simulated(&clock, CalendarMode::Exchange)).await;
    for (order_id, _, reason) in orders {
        let EventData::OrderRejected(rejected) = said(&log, format!("modify/{order_id}/1")).await else {
            panic!("it is rejected");
        };
        assert_eq!((rejected.refused, rejected.reason.as_deref()), (Refused::Modification, Some(reason)));
        assert_eq!((rejected.cancelled, rejected.blocked), (Quantity::ZERO, Money::parse("4800.00").ok()));
        // It stands as it was, and trades at its own price.
        clock.advance_ms(1);
        let at = commands::Clock::now(&*clock).to_string();
        accepted(running.desk.submit_fact(fact(&format!("down/{order_id}"), last("2399.00", &at))).await);
        assert_eq!(filled(&log, order_id).await.quantity, Quantity::new(2));
    }
    running.stop().await;
}

#[tokio::test]
async fn partial_fills_add_up_and_a_restart_goes_on_where_it_was() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let without = funded(&log, config(&clock)).await;
    let mut orders = Vec::new();
    for number in 0..12 {
        let order = Place { order_type: OrderType::Market, price: None, ..buy(9, "1.00") };
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
