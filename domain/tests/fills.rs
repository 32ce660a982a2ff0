//! Trades, netting and settlement, with sums to check by hand.
mod support;

use domain::{
    event::EventData,
    ids::TradeId,
    money::{Money, Quantity},
    order::{Assign, Fill, ReportKind, Side, Status},
    position::Shares,
    rejection::Rejection,
    testing::{Given, given},
};
use support::*;

fn position(given: &Given) -> Shares {
    given.book().positions.get(&instrument()).map_or_else(Shares::default, |held| held.shares)
}
fn parts(bought_today: i64, t1: i64, settled: i64) -> Shares {
    Shares { bought_today: shares(bought_today), t1: shares(t1), settled: shares(settled) }
}
const NEXT_DAY: &str = "2026-11-24T10:00:00+05:30";

#[test]
fn a_purchase_is_bought_today_then_t1_then_settled() {
    let filled = funded().and(buy(10, "100.00")).when(fill(3, "T1", 10, "99.90")).then_events(&[
        "order_filled",
        "position_changed",
        "cash_posted",
    ]);
    assert_eq!(position(&filled), parts(10, 0, 0));
    let cash = &filled.book().cash;
    assert_eq!(
        (cash.settled, cash.payable(), cash.blocked, cash.available()),
        (rupees("100000.00"), rupees("999.00"), Money::ZERO, rupees("99001.00"))
    );
    assert_eq!(filled.next_due(), Some(time("2026-11-24T00:00:00+05:30")));
    let netted = filled.at("2026-11-24T00:00:00+05:30").and_all_due();
    assert_eq!(position(&netted), parts(0, 10, 0));
    assert_eq!(netted.next_due(), Some(time("2026-11-24T15:30:00+05:30")));
    let settled = netted.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!(position(&settled), parts(0, 0, 10));
    assert_eq!((settled.book().cash.settled, settled.book().cash.payable()), (rupees("99001.00"), Money::ZERO));
    assert_eq!(settled.next_due(), None);
}

#[test]
fn a_sale_draws_bought_today_then_settled_then_t1() {
    let bought_yesterday = holding().and(buy(5, "100.00")).and(fill(4, "T1", 5, "100.00"));
    let today = bought_yesterday
        .at("2026-11-24T00:00:00+05:30")
        .and_all_due()
        .at(NEXT_DAY)
        .and(buy(3, "100.00"))
        .and(fill_at(7, "T2", 3, "100.00", NEXT_DAY));
    assert_eq!(position(&today), parts(3, 5, 10));
    let sold = today.and(sell(15, "100.00")).when(fill_at(9, "T3", 15, "100.00", NEXT_DAY));
    match &sold.events()[0].data {
        EventData::OrderFilled(filled) => assert_eq!(filled.drawn, Some(parts(3, 2, 10))),
        other => panic!("{other:?}"),
    }
    assert_eq!(position(&sold.then_accepted()), parts(0, 3, 0));
}

#[test]
fn proceeds_of_settled_shares_are_usable_at_once_since_october_2024_and_of_t1_shares_not() {
    let sold = holding().and(sell(10, "110.00")).and(fill(4, "T1", 10, "110.00"));
    let cash = &sold.book().cash;
    assert_eq!(
        (cash.receivable(), cash.available(), cash.withdrawable()),
        (rupees("1100.00"), rupees("101100.00"), rupees("100000.00"))
    );
    let t1 =
        funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00")).at("2026-11-24T00:00:00+05:30").and_all_due();
    let sold = t1.at(NEXT_DAY).and(sell(10, "110.00")).and(fill_at(6, "T2", 10, "110.00", NEXT_DAY));
    assert_eq!(sold.book().cash.available(), rupees("99000.00"));
}

#[test]
fn before_october_2024_four_fifths_of_a_sale_are_usable() {
    let day = "2024-10-04T10:00:00+05:30";
    let held = given()
        .at(day)
        .fact(listed("EQ", Some("0.05"), Some(20)))
        .fact(closed("2024-10-03", "100.00"))
        .and(open())
        .and(imported(domain::history::Kind::Purchase, 10, None, "2023-01-02"));
    let sold = held.and(sell(10, "100.00")).and(fill_at(3, "T1", 10, "100.00", day));
    assert_eq!(sold.book().cash.available(), rupees("800.00"));
}

#[test]
fn an_intraday_profit_is_not_usable_until_settled_and_a_loss_is_at_once() {
    let bought = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let profit = bought.clone().and(sell(10, "110.00")).and(fill(5, "T2", 10, "110.00"));
    assert_eq!(profit.book().cash.available(), rupees("100000.00"));
    let loss = bought.and(sell(10, "90.00")).and(fill(5, "T2", 10, "90.00"));
    assert_eq!(loss.book().cash.available(), rupees("99900.00"));
    let settled = profit.at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!(settled.book().cash.available(), rupees("100100.00"));
    assert!(settled.book().positions.is_empty(), "{:?}", settled.book().positions);
}

#[test]
fn a_later_purchase_gives_back_what_the_sale_took_and_its_profit_is_intraday() {
    let sold = holding().and(sell(10, "110.00")).and(fill(4, "T1", 10, "110.00"));
    let covered = sold.and(buy(4, "100.00")).and(fill(6, "T2", 4, "100.00"));
    assert_eq!(position(&covered), parts(4, 0, 0));
    assert_eq!(covered.book().cash.available(), rupees("100700.00"));
    let netted = covered.at("2026-11-24T00:00:00+05:30").and_all_due();
    assert_eq!(position(&netted), parts(0, 0, 4));
    // 6 delivered of 10 sold: 660.00; 4 intraday at most at their cost: 400.00; payable 400.00.
    assert_eq!(netted.book().cash.available(), rupees("100660.00"));
    let settled = netted.at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!(settled.book().cash.settled, rupees("100700.00"));
}

#[test]
fn t1_shares_given_back_keep_their_own_settlement_date() {
    let t1 =
        funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00")).at("2026-11-24T00:00:00+05:30").and_all_due();
    let covered = t1
        .at(NEXT_DAY)
        .and(sell(10, "100.00"))
        .and(fill_at(6, "T2", 10, "100.00", NEXT_DAY))
        .and(buy(10, "100.00"))
        .and(fill_at(8, "T3", 10, "100.00", NEXT_DAY));
    let settled = covered.at("2026-11-25T00:00:00+05:30").and_all_due();
    assert_eq!(position(&settled), parts(0, 0, 10));
}

#[test]
fn settlement_waits_over_a_weekend() {
    let friday = "2026-11-27T10:00:00+05:30";
    let filled = funded().at(friday).and(buy(10, "100.00")).and(fill_at(3, "T1", 10, "100.00", friday));
    let monday = filled.at("2026-11-30T15:29:00+05:30").and_all_due();
    assert_eq!(position(&monday), parts(0, 10, 0));
    assert_eq!(position(&monday.at("2026-11-30T15:30:00+05:30").and_all_due()), parts(0, 0, 10));
}

#[test]
fn a_fill_counts_after_a_cancellation_too() {
    let cancelled =
        funded().and(buy(10, "100.00")).and(fill(3, "T1", 4, "100.00")).and(report(3, ReportKind::Cancelled));
    let late = cancelled.and(fill(3, "T2", 5, "100.00"));
    let order = &late.book().orders[&3];
    assert_eq!((order.filled, order.cancelled(), order.status), (shares(9), shares(1), Status::Cancelled));
    assert_eq!(late.book().cash.blocked, Money::ZERO);
    assert_eq!(late.and(fill(3, "T3", 1, "100.00")).book().orders[&3].status, Status::Filled);
}

#[test]
fn a_repeated_trade_adds_nothing_and_other_content_is_a_contradiction() {
    let filled = funded().and(buy(10, "100.00")).and(fill(3, "T1", 4, "100.00"));
    filled.clone().when(fill(3, "T1", 4, "100.00")).then_known();
    filled.clone().when(fill(3, "T1", 5, "100.00")).then_refused(Rejection::FillContradicted);
    // The same number on another day is another trade.
    filled.when(fill_at(3, "T1", 4, "100.00", NEXT_DAY)).then_events(&[
        "order_filled",
        "position_changed",
        "cash_posted",
    ]);
}

#[test]
fn a_fill_that_fits_no_order_waits_without_effect_until_it_is_assigned() {
    let over = funded().and(buy(10, "100.00")).when(fill(3, "T1", 11, "100.00")).then_events(&["fill_unmatched"]);
    assert_eq!((position(&over), over.book().cash.blocked), (parts(0, 0, 0), rupees("1000.00")));
    over.clone().when(fill(3, "T1", 11, "100.00")).then_known();
    over.clone().when(Assign { seq: 4, order_id: order_id(3) }).then_refused(Rejection::FillDoesNotFit);
    let other = over.and(buy(20, "100.00"));
    let assigned = other.when(Assign { seq: 4, order_id: order_id(5) });
    let assigned = assigned.then_events(&["fill_assigned", "position_changed", "cash_posted"]);
    assert_eq!(assigned.book().orders[&5].filled, shares(11));
    assigned.clone().when(Assign { seq: 4, order_id: order_id(5) }).then_refused(Rejection::UnknownUnmatchedFill);
    given()
        .when(Fill { side: Some(Side::Buy), instrument: Some(instrument()), ..fill(3, "T1", 1, "1.00") })
        .then_events(&["fill_unmatched"]);
    funded().when(Fill { side: Some(Side::Buy), ..fill(77, "T1", 1, "1.00") }).then_events(&["fill_unmatched"]);
    let sell_named = Fill { side: Some(Side::Sell), ..fill(3, "T1", 1, "100.00") };
    funded().and(buy(10, "100.00")).when(sell_named).then_events(&["fill_unmatched"]);
}

#[test]
fn a_trade_is_not_contradicted_by_one_of_another_order_that_waits_under_the_same_number() {
    let waiting = funded().and(buy(10, "100.00")).and(fill(77, "T1", 4, "99.00"));
    let filled = waiting.and(fill(3, "T1", 10, "100.00"));
    assert_eq!((filled.book().orders[&3].filled, filled.book().unmatched.len()), (shares(10), 1));
    // Nor do two contradict each other that wait; each is known by its own order.
    let both = filled.and(fill(78, "T1", 5, "98.00"));
    assert_eq!(both.book().unmatched.len(), 2);
    for (seq, quantity, value) in [(77, 4, "99.00"), (78, 5, "98.00")] {
        both.clone().when(fill(seq, "T1", quantity, value)).then_known();
        both.clone().when(fill(seq, "T1", 1, value)).then_refused(Rejection::FillContradicted);
    }
    let cancelled = both.and(cancel_trade(78, "T1", "2026-11-23", NEXT_DAY));
    assert_eq!(cancelled.book().unmatched.keys().copied().collect::<Vec<_>>(), [4]);
}

#[test]
fn a_late_trade_is_netted_and_settled_at_once() {
    let late = funded().and(buy(10, "100.00")).at("2026-11-26T11:00:00+05:30").and(fill(3, "T1", 10, "100.00"));
    let done = late.and_all_due();
    assert_eq!(position(&done), parts(0, 0, 10));
    assert_eq!(done.book().cash.settled, rupees("99000.00"));
}

#[test]
fn facts_may_overdraw_and_then_block_what_adds_risk() {
    // The fill is dearer than the limit; it happened, and is recorded.
    let book = given()
        .fact(listed("EQ", Some("0.05"), None))
        .fact(closed("2026-11-20", "100.00"))
        .and(open())
        .and(deposit("1000.00"));
    let overdrawn = book.and(buy(10, "100.00")).and(fill(3, "T1", 10, "150.00"));
    assert_eq!(overdrawn.book().cash.available(), rupees("-500.00"));
    overdrawn.clone().when(buy(1, "1.00")).then_refused(Rejection::InsufficientCash);
    overdrawn.clone().when(withdraw("1.00")).then_refused(Rejection::InsufficientCash);
    overdrawn.when(sell(10, "100.00")).then_events(&["order_requested"]);
}

#[test]
fn a_trade_id_is_known_by_exchange_day_and_side() {
    let both = holding().and(buy(1, "100.00")).and(sell(1, "100.00")).and(fill(4, "T1", 1, "100.00"));
    both.when(fill(5, "T1", 1, "100.00")).then_events(&["order_filled", "position_changed", "cash_posted"]);
    assert_eq!(Quantity::ZERO, shares(0));
    assert!(TradeId::new("").is_err());
}

#[test]
fn a_holiday_that_is_declared_after_a_trade_moves_its_cash_and_shares_together() {
    // Monday's trades would settle on Tuesday, which is declared a holiday on Monday evening.
    let bought = holding().and(buy(10, "100.00")).and(fill(4, "T1", 10, "100.00"));
    let sold = bought.and(sell(4, "100.00")).and(fill(6, "T2", 4, "100.00"));
    let declared = sold.at("2026-11-23T19:00:00+05:30").fact(holiday("2026-11-24"));
    let netted = declared.at("2026-11-24T00:00:00+05:30").and_all_due();
    assert_eq!(position(&netted), parts(0, 6, 10));
    assert_eq!(netted.next_due(), Some(time("2026-11-25T15:30:00+05:30")));
    let closed = netted.at("2026-11-24T16:00:00+05:30");
    assert!(closed.due().is_empty(), "{:?}", closed.due());
    let early = domain::position::Settle { settlement_date: date("2026-11-24") };
    closed.clone().when(early).then_refused(Rejection::NotDue);
    assert_eq!(closed.book().cash.withdrawable(), rupees("99000.00"));
    let settled = closed.at("2026-11-25T15:30:00+05:30").and_all_due();
    assert_eq!((position(&settled), settled.book().cash.settled), (parts(0, 0, 16), rupees("99400.00")));
    assert_eq!((settled.book().cash.due.len(), settled.next_due()), (0, None));
}

#[test]
fn all_trades_of_a_day_settle_on_the_date_that_its_first_one_fixed() {
    let first = funded().and(buy(20, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let both = first.fact(holiday("2026-11-24")).and(fill(3, "T2", 10, "100.00"));
    assert_eq!(both.book().cash.due.keys().copied().collect::<Vec<_>>(), [date("2026-11-24")]);
    let netted = both.at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!((position(&netted), netted.book().cash.settled), (parts(0, 20, 0), rupees("100000.00")));
    let settled = netted.at("2026-11-25T15:30:00+05:30").and_all_due();
    assert_eq!((position(&settled), settled.book().cash.settled), (parts(0, 0, 20), rupees("98000.00")));
}

#[test]
fn a_settlement_day_that_is_found_later_settles_nothing_before_the_date_that_was_fixed() {
    let bought = funded().fact(holiday("2026-11-24")).and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let opened = bought.fact(domain::market::CalendarDay {
        kind: domain::market::DayKind::Session,
        corrects: Some(1),
        ..holiday("2026-11-24")
    });
    let netted = opened.at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!((position(&netted), netted.book().cash.payable()), (parts(0, 10, 0), rupees("1000.00")));
    let settled = netted.at("2026-11-25T15:30:00+05:30").and_all_due();
    assert_eq!((position(&settled), settled.book().cash.payable()), (parts(0, 0, 10), Money::ZERO));
}
