//! History beside an account's own trades: a trade counts once, as history or as an order's, however late it is told.
mod support;

use domain::{
    event::{Event, EventData},
    history::{ImportTrade, Kind},
    ids::TradeId,
    order::{Assign, Fill, ReportKind, Side, Unmatched},
    position::Shares,
    rejection::Rejection,
    testing::{Given, Then},
    time::Date,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

const TODAY: &str = "2026-11-23";
/// Filled on Monday the 23rd, settled on the 24th: the order has left.
const LEFT: &str = "2026-12-01T10:00:00+05:30";

/// A row of a tradebook: ten at 100.00 under this number.
fn row(kind: Kind, trade: &str, day: &str) -> ImportTrade {
    ImportTrade { trade_id: Some(TradeId::new(trade).expect("a trade id")), ..imported(kind, 10, Some("100.00"), day) }
}
fn held(given: &Given) -> Shares {
    given.book().positions.get(&instrument()).map_or_else(Shares::default, |position| position.shares)
}
fn settled(count: i64) -> Shares {
    Shares { settled: shares(count), ..Shares::default() }
}
/// As a venue tells it that names everything.
fn named(fill: Fill) -> Fill {
    Fill { instrument: Some(instrument()), side: Some(Side::Buy), ..fill }
}
fn reason(then: &Then) -> Unmatched {
    match &then.events()[0].data {
        EventData::FillUnmatched(unmatched) => unmatched.reason,
        other => panic!("{other:?}"),
    }
}
/// Ten bought as order 3, settled, and so old that the order has left.
fn left() -> Given {
    let filled = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let left = filled.at(LEFT).and_all_due().and(deposit("1.00"));
    assert!(left.book().orders.is_empty() && left.book().trades.is_empty());
    left
}

#[test]
fn a_trade_of_an_order_is_not_imported_beside_it_while_the_book_remembers_it() {
    let filled = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let same = filled.when(row(Kind::Purchase, "T1", TODAY)).then_known();
    let other = ImportTrade { quantity: shares(11), ..row(Kind::Purchase, "T1", TODAY) };
    same.clone().when(other).then_refused(Rejection::FillContradicted);
    // A row that knows no price says nothing else.
    same.when(ImportTrade { price: None, ..row(Kind::Purchase, "T1", TODAY) }).then_known();
}

#[test]
fn a_trade_whose_order_has_left_the_book_is_not_imported_again() {
    let refused = left().when(row(Kind::Purchase, "T1", TODAY)).then_refused(Rejection::HistoryOverlaps);
    assert_eq!(held(&refused), settled(10));
    // Nor is any trade of a day between the first and the last that left.
    let second = refused.at("2026-12-03T10:00:00+05:30").and(buy(5, "100.00"));
    let seq = second.book().seq;
    let second = second.and(fill_at(seq, "T2", 5, "100.00", "2026-12-03T10:00:00+05:30"));
    let both = second.at("2026-12-14T10:00:00+05:30").and_all_due().and(deposit("1.00"));
    assert_eq!(both.book().forgotten, Some((date(TODAY), date("2026-12-03"))));
    both.clone().when(row(Kind::Purchase, "T9", "2026-11-27")).then_refused(Rejection::HistoryOverlaps);
    both.when(row(Kind::Purchase, "T9", "2026-12-04")).then_accepted();
}

#[test]
fn what_was_traded_before_the_account_traded_here_is_history_at_any_time() {
    let imported = left().and(row(Kind::Purchase, "X1", "2026-11-20"));
    assert_eq!(held(&imported), settled(20));
    let later = imported.at("2027-05-01T10:00:00+05:30").and(deposit("1.00"));
    assert_eq!(held(&later.and(row(Kind::Sale, "X2", "2025-03-03"))), settled(10));
}

#[test]
fn what_no_order_brings_and_what_has_no_number_is_imported_of_any_day() {
    let bonus = left().and(row(Kind::Bonus, "B1", TODAY)).and(imported(Kind::Split, 10, None, TODAY));
    assert_eq!(held(&bonus.and(imported(Kind::Purchase, 10, None, TODAY))), settled(40));
}

#[test]
fn a_trade_that_was_imported_waits_without_effect_when_the_venue_tells_it() {
    for told in [fill(4, "T1", 10, "100.00"), named(fill(4, "T1", 10, "100.00")), named(fill(77, "T1", 10, "100.00"))] {
        let counted = funded().and(row(Kind::Purchase, "T1", TODAY)).and(buy(10, "100.00"));
        let then = counted.when(told.clone());
        assert_eq!(reason(&then), Unmatched::Imported);
        let waits = then.then_events(&["fill_unmatched"]);
        assert_eq!((held(&waits), waits.book().orders[&4].filled), (settled(10), shares(0)));
        // Told again it is known, other content is a contradiction, and the row stays known too.
        let waits = waits.when(told.clone()).then_known().when(row(Kind::Purchase, "T1", TODAY)).then_known();
        waits.clone().when(Fill { quantity: shares(9), ..told }).then_refused(Rejection::FillContradicted);
        // It counts once: nobody makes it the order's too.
        let seq = *waits.book().unmatched.keys().next().expect("it waits");
        waits.when(Assign { seq, order_id: order_id(4) }).then_refused(Rejection::FillContradicted);
    }
}

#[test]
fn a_trade_that_waits_for_an_order_may_be_history_and_is_then_no_orders() {
    for told in [named(fill(77, "T1", 10, "100.00")), fill(77, "T1", 10, "100.00")] {
        let waits = funded().and(told);
        let counted = waits.and(row(Kind::Purchase, "T1", TODAY));
        assert_eq!(held(&counted), settled(10));
        let again = counted.when(row(Kind::Purchase, "T1", TODAY)).then_known().and(buy(10, "100.00"));
        again.when(Assign { seq: 3, order_id: order_id(6) }).then_refused(Rejection::FillContradicted);
    }
}

#[test]
fn a_trade_that_the_exchange_had_cancelled_is_not_imported() {
    let at = "2026-11-23T11:00:00+05:30";
    let before = funded().and(buy(10, "100.00")).and(cancel_trade(3, "T1", TODAY, at));
    assert_eq!(held(&before.when(row(Kind::Purchase, "T1", TODAY)).then_known()), Shares::default());
    let after = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00")).and(cancel_trade(3, "T1", TODAY, at));
    assert_eq!(held(&after.when(row(Kind::Purchase, "T1", TODAY)).then_known()), Shares::default());
}

#[test]
fn an_imported_trade_is_known_as_long_as_an_order_of_its_day_is() {
    // A second trade, which settles on the 30th, keeps the order until the 7th.
    let counted = funded().and(row(Kind::Purchase, "T1", TODAY)).and(buy(20, "100.00"));
    let part = counted.and(report(4, ReportKind::Cancelled)).at("2026-11-27T10:00:00+05:30");
    let part = part.and(fill_at(4, "T2", 5, "100.00", "2026-11-27T09:30:00+05:30")).and_all_due();
    let late = part.at("2026-12-06T10:00:00+05:30").and_all_due().and(deposit("1.00"));
    assert_eq!(reason(&late.clone().when(fill(4, "T1", 10, "100.00"))), Unmatched::Imported);
    let gone = late.at("2026-12-07T10:00:00+05:30").and(deposit("1.00")).and(deposit("1.00"));
    let gone = gone.at("2026-12-08T10:00:00+05:30").and(deposit("1.00"));
    assert!(gone.book().orders.is_empty() && gone.book().trades.is_empty());
    // What was imported and left is no trade that a venue told.
    assert_eq!(gone.book().forgotten, Some((date("2026-11-27"), date("2026-11-27"))));
}

/// What may be told of a few trades, each of ten at 100.00, over some weeks.
#[derive(Clone, Copy, Debug)]
enum Told {
    Placed,
    /// By the order that was placed so many before the last, of its own day.
    Filled(usize, u8, bool),
    /// For an order that is not known, of today.
    Unknown(u8, bool),
    /// As history, of so many days ago.
    Imported(u8, i32),
    Assigned(usize, usize),
    Cancelled(usize, u8),
    Days(i64),
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let told = prop_oneof![
        3 => Just(Told::Placed),
        6 => (0usize..3, 0u8..3, any::<bool>()).prop_map(|(order, id, named)| Told::Filled(order, id, named)),
        3 => (0u8..3, any::<bool>()).prop_map(|(id, named)| Told::Unknown(id, named)),
        6 => (0u8..3, 0i32..12).prop_map(|(id, ago)| Told::Imported(id, ago)),
        3 => (0usize..3, 0usize..3).prop_map(|(waits, order)| Told::Assigned(waits, order)),
        2 => (0usize..3, 0u8..3).prop_map(|(order, id)| Told::Cancelled(order, id)),
        4 => (0i64..9).prop_map(Told::Days),
    ];
    proptest::collection::vec(told, 1..60)
}

/// How often a trade counts: as history, and as an order's.
fn count(counted: &mut BTreeMap<(Date, TradeId), (i32, i32)>, events: &[Event]) {
    for event in events {
        match &event.data {
            EventData::TradeImported(e) => {
                counted.entry((e.trade_date, e.trade_id.expect("numbered"))).or_default().0 += 1;
            }
            EventData::OrderFilled(e) => counted.entry((e.trade_date, e.trade_id)).or_default().1 += 1,
            EventData::FillAssigned(e) => counted.entry((e.fill.trade_date, e.fill.trade_id)).or_default().1 += 1,
            EventData::TradeCancelled(e) if e.undone.is_some() => {
                counted.entry((e.trade_date, e.trade_id)).or_default().1 -= 1;
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_trade_counts_as_history_or_as_an_orders_in_any_order_of_telling(steps in told()) {
        let mut now = time("2026-11-23T10:00:00+05:30");
        let mut given = funded().and(deposit("10000000.00"));
        let mut orders: Vec<(u64, Date)> = Vec::new();
        let mut counted = BTreeMap::new();
        for step in steps {
            given = given.at(&now.to_string()).and_all_due();
            // What is told of an order that has left waits for an operator, who looks at more than the book.
            orders.retain(|(seq, _)| given.book().orders.contains_key(seq));
            let order = |place: usize| orders.iter().rev().nth(place).copied().unwrap_or((999, now.date()));
            let words = |fill: Fill, is_named: bool| if is_named { named(fill) } else { fill };
            let fill_of = |seq, day: Date, id, is_named| {
                let at = format!("{day}T10:00:00+05:30");
                words(fill_at(seq, &format!("T{id}"), 10, "100.00", &at), is_named)
            };
            let then = match step {
                Told::Placed => given.when(buy(30, "100.00")),
                Told::Filled(place, id, named) => given.when(fill_of(order(place).0, order(place).1, id, named)),
                Told::Unknown(id, named) => given.when(fill_of(998, now.date(), id, named)),
                Told::Imported(id, ago) => {
                    let day = now.date().plus_days(-ago).to_string();
                    given.when(row(Kind::Purchase, &format!("T{id}"), &day))
                }
                Told::Assigned(place, to) => {
                    let seq = given.book().unmatched.keys().rev().nth(place).copied().unwrap_or(1);
                    given.when(Assign { seq, order_id: order_id(order(to).0) })
                }
                Told::Cancelled(place, id) => {
                    let (seq, day) = order(place);
                    given.when(cancel_trade(seq, &format!("T{id}"), &day.to_string(), &now.to_string()))
                }
                Told::Days(days) => {
                    now = now.plus_micros(days * 86_400_000_000);
                    given.when(deposit("1.00"))
                }
            };
            count(&mut counted, then.events());
            given = then.then_decided();
            if let Some(order) = given.book().orders.get(&given.book().seq) {
                orders.push((given.book().seq, order.session_date));
            }
            for (trade, (history, filled)) in &counted {
                prop_assert!(*history == 0 || *filled == 0, "{trade:?} counts {history} and {filled} times: {step:?}");
            }
        }
    }
}
