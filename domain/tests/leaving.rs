//! Closed orders leave the book with what is known of their trades, seven days after they settled.
mod support;

use domain::{
    fund,
    history::Kind,
    ids::TradeId,
    order::{Assign, Fill, ReportKind},
    rejection::Rejection,
    testing::Given,
};
use support::*;

/// Filled on Monday the 23rd, settled on Tuesday the 24th: in the book until the 1st of December.
fn filled() -> Given {
    funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "99.90"))
}
fn late(trade: &str) -> Fill {
    fill(3, trade, 10, "99.90")
}
const LAST_DAY: &str = "2026-11-30T23:59:59+05:30";
const LEAVES: &str = "2026-12-01T00:00:00+05:30";

#[test]
fn a_filled_order_stays_for_seven_days_after_its_settlement() {
    let stays = filled().at(LAST_DAY).and_all_due().and(deposit("1.00"));
    assert!(stays.book().orders.contains_key(&3));
    stays.when(late("T1")).then_known();
}

#[test]
fn it_leaves_with_the_accounts_next_entry_and_takes_its_trades_along() {
    let still = filled().and_all_due().at(LEAVES);
    assert!(still.book().orders.contains_key(&3), "nothing was recorded since");
    let left = still.and_all_due().and(deposit("1.00"));
    assert!(left.book().orders.is_empty() && left.book().trades.is_empty());
    left.when(cancel(3)).then_refused(Rejection::UnknownOrder);
}

#[test]
fn an_unfilled_order_leaves_seven_days_after_its_session() {
    let expired = funded().and(buy(10, "100.00")).at("2026-11-23T15:30:00+05:30").and_all_due();
    let stays = expired.at("2026-11-29T23:00:00+05:30").and(deposit("1.00"));
    assert!(stays.book().orders.contains_key(&3));
    assert!(stays.at("2026-11-30T00:00:00+05:30").and(deposit("1.00")).book().orders.is_empty());
}

#[test]
fn an_open_order_does_not_leave_however_old_it_is() {
    let open = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Accepted));
    assert!(open.at("2027-06-01T10:00:00+05:30").and(deposit("1.00")).book().orders.contains_key(&3));
}

#[test]
fn a_fill_after_the_order_left_waits_for_an_operator_and_stays_until_it_is_assigned() {
    let left = filled().at(LEAVES).and_all_due().and(deposit("1.00"));
    let unmatched = left.when(late("T2")).then_events(&["fill_unmatched"]);
    let waits = unmatched.at("2027-03-01T10:00:00+05:30").and(deposit("1.00"));
    assert_eq!((waits.book().unmatched.len(), waits.book().trades.len()), (1, 1));
    waits.clone().when(late("T2")).then_known();
    let seq = *waits.book().unmatched.keys().next().expect("it waits");
    let placed = waits.and(buy(10, "100.00"));
    let assigned = placed.clone().and(Assign { seq, order_id: order_id(placed.book().seq) });
    let gone = assigned.at("2027-03-20T10:00:00+05:30").and_all_due().and(deposit("1.00"));
    assert!(gone.book().unmatched.is_empty() && gone.book().trades.is_empty() && gone.book().orders.is_empty());
}

#[test]
fn a_fill_that_settles_later_keeps_a_cancelled_order_longer() {
    let cancelled = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Cancelled));
    let late = fill_at(3, "T1", 4, "99.90", "2026-11-27T10:00:00+05:30");
    let filled = cancelled.at("2026-11-27T18:00:00+05:30").and(late);
    // Friday's trade settles on Monday the 30th.
    let stays = filled.at("2026-12-06T10:00:00+05:30").and_all_due().and(deposit("1.00"));
    assert!(stays.book().orders.contains_key(&3));
    assert!(stays.at("2026-12-07T10:00:00+05:30").and(deposit("1.00")).book().orders.is_empty());
}

#[test]
fn an_imported_trade_is_known_for_seven_days() {
    let mut trade = imported(Kind::Purchase, 5, Some("90.00"), "2025-01-15");
    trade.trade_id = Some(TradeId::new("X1").expect("a trade id"));
    let known = funded().and(trade.clone());
    known.clone().at("2026-11-29T10:00:00+05:30").when(trade).then_known();
    assert!(known.at("2026-11-30T10:00:00+05:30").and(deposit("1.00")).book().trades.is_empty());
}

#[test]
fn an_answered_fund_order_leaves_seven_days_after_its_answer_or_its_money() {
    let purchase = fund::Purchase { scheme: scheme(), amount: rupees("5000.00"), folio: None };
    let asked = funded().fact(known_scheme()).and(purchase).and_all_due();
    let seq = *asked.book().fund_orders.keys().next().expect("it was asked for");
    let answered = asked.clone().and(allotment(seq, "40.0000", "124.993", Some("0.25"), None));
    let stays = answered.at("2026-11-29T10:00:00+05:30").and(deposit("1.00"));
    assert!(stays.book().fund_orders.contains_key(&seq));
    assert!(stays.at("2026-11-30T10:00:00+05:30").and(deposit("1.00")).book().fund_orders.is_empty());
    assert!(asked.at("2027-11-30T10:00:00+05:30").and(deposit("1.00")).book().fund_orders.contains_key(&seq));
}
