//! Cash below zero: made so by facts, it refuses what adds risk, says by how much, and lets sales and cancellations be.
mod support;

use domain::{
    event::EventData,
    history::Kind,
    order::ReportKind,
    rejection::Rejection,
    testing::{Given, Then},
};
use support::*;

/// 1,000.00 deposited, 10 shares held, an order for 9 at 100.00 filled at 120.00 (outside what was blocked): 80.00 short.
fn overdrawn() -> Given {
    let given = domain::testing::given()
        .fact(listed("EQ", Some("0.05"), Some(20)))
        .fact(closed("2026-11-20", "100.00"))
        .fact(known_scheme())
        .fact(nav_of("2026-11-20", "40.0000"))
        .at("2026-11-23T10:00:00+05:30")
        .and(open())
        .and(deposit("1000.00"))
        .and(imported(Kind::Purchase, 10, Some("90.00"), "2025-01-15"))
        .and(imported_units(Kind::Purchase, "100.000", None))
        .and(buy(9, "100.00"))
        .and(report(5, ReportKind::Accepted))
        .and(fill(5, "T1", 9, "120.00"));
    assert_eq!(given.book().cash.available(), -rupees("80.00"));
    given
}

fn figures(then: &Then) -> Vec<(String, String)> {
    match &then.events()[0].data {
        EventData::CommandRefused(refused) => {
            refused.figures.iter().map(|(name, figure)| (name.to_string(), figure.to_string())).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}
fn named(figures: [(&str, &str); 3]) -> Vec<(String, String)> {
    figures.map(|(name, figure)| (name.to_owned(), figure.to_owned())).into()
}

#[test]
fn cash_below_zero_refuses_purchases_and_withdrawals_and_says_by_how_much() {
    let short = overdrawn();
    let order = short.clone().when(buy(1, "100.00"));
    assert_eq!(figures(&order), named([("available", "-80.00"), ("needed", "100.00"), ("short", "180.00")]));
    order.then_refused(Rejection::InsufficientCash);
    let fund = short.clone().when(purchase("20.00"));
    assert_eq!(figures(&fund), named([("available", "-80.00"), ("needed", "20.00"), ("short", "100.00")]));
    fund.then_refused(Rejection::InsufficientCash);
    let out = short.when(withdraw("1.00"));
    assert_eq!(figures(&out), named([("needed", "1.00"), ("short", "81.00"), ("withdrawable", "-80.00")]));
    out.then_refused(Rejection::InsufficientCash);
}

#[test]
fn cash_below_zero_allows_sales_redemptions_cancellations_and_deposits() {
    let short = overdrawn();
    short.clone().when(sell(10, "100.00")).then_events(&["order_requested"]);
    short.clone().when(redemption(Some("1.000"), None, None)).then_events(&["fund_redemption_requested"]);
    let again = short.and(deposit("80.00"));
    again.clone().when(buy(1, "100.00")).then_refused(Rejection::InsufficientCash);
    again.and(deposit("100.00")).when(buy(1, "100.00")).then_events(&["order_requested"]);
}

#[test]
fn an_order_may_be_made_smaller_or_cancelled_while_cash_is_below_zero() {
    // Two orders are covered; the fill of the first takes more than it blocked.
    let given = funded().at("2026-11-23T10:00:00+05:30").and(buy(400, "100.00")).and(buy(500, "100.00"));
    let short = given.and(report(4, ReportKind::Accepted)).and(fill(3, "T1", 400, "145.00"));
    assert_eq!(short.book().cash.available(), -rupees("8000.00"));
    short.clone().when(change(4, Some(501), None)).then_refused(Rejection::InsufficientCash);
    short.clone().when(change(4, Some(100), None)).then_events(&["modification_requested"]);
    short.clone().when(change(4, None, Some("90.00"))).then_events(&["modification_requested"]);
    let freed = short.and(cancel(4)).and(report(4, ReportKind::Cancelled));
    assert_eq!(freed.book().cash.available(), rupees("42000.00"));
}

#[test]
fn a_deposit_cannot_leave_the_range_of_money() {
    funded().when(deposit("10000000000000.00")).then_refused(Rejection::AmountTooLarge);
}
