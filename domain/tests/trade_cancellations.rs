//! Trades that the exchange cancels: shares, cash and order as if they had not been, whenever that is told.
mod support;

use domain::{
    event::EventData,
    money::Money,
    order::{Assign, Fill, ReportKind, Side, Status, TradeCancelled, Unmatched},
    position::Shares,
    rejection::Rejection,
    testing::{Given, Then},
};
use support::*;

const TODAY: &str = "2026-11-23";
const SOON: &str = "2026-11-23T11:00:00+05:30";

fn held(given: &Given) -> Shares {
    given.book().positions.get(&instrument()).map_or_else(Shares::default, |position| position.shares)
}
fn told(then: &Then) -> &TradeCancelled {
    match &then.events()[0].data {
        EventData::TradeCancelled(cancelled) => cancelled,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_purchase_is_undone_on_its_day() {
    let bought = funded().and(buy(10, "100.00")).and(fill(3, "T1", 4, "100.00"));
    let undone = bought.when(cancel_trade(3, "T1", TODAY, SOON));
    let undone = undone.then_events(&["trade_cancelled", "position_changed", "cash_posted"]);
    assert_eq!(held(&undone), Shares::default());
    let cash = &undone.book().cash;
    assert_eq!((cash.payable(), cash.receivable(), cash.blocked), (Money::ZERO, Money::ZERO, rupees("600.00")));
    let order = &undone.book().orders[&3];
    assert_eq!((order.filled, order.pending(), order.cancelled()), (shares(0), shares(6), shares(4)));
    assert_eq!(order.status, Status::Open);
    let rest = undone.and(fill(3, "T2", 6, "100.00"));
    let order = &rest.book().orders[&3];
    assert_eq!((order.status, order.filled, order.cancelled()), (Status::Cancelled, shares(6), shares(4)));
}

#[test]
fn a_whole_order_whose_trade_is_cancelled_is_cancelled() {
    let bought = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let undone = bought.and(cancel_trade(3, "T1", TODAY, SOON));
    let order = &undone.book().orders[&3];
    assert_eq!((order.status, order.filled, order.cancelled()), (Status::Cancelled, shares(0), shares(10)));
    assert_eq!(undone.book().cash.available(), rupees("100000.00"));
    // Its correction comes as a trade of its own.
    let corrected = undone.and(fill(3, "T2", 10, "99.00"));
    let order = &corrected.book().orders[&3];
    assert_eq!((order.filled, order.cancelled()), (shares(10), shares(0)));
    assert_eq!(corrected.book().cash.payable(), rupees("990.00"));
}

#[test]
fn an_order_that_expired_stays_expired_when_what_was_left_trades_late_and_the_rest_was_undone() {
    let over = funded().and(buy(8, "100.00")).and(fill(3, "T1", 7, "100.00")).at("2026-11-23T15:30:00+05:30");
    let undone = over.and_all_due().and(cancel_trade(3, "T1", TODAY, SOON));
    let late = undone.and(fill(3, "T2", 1, "100.00"));
    let order = &late.book().orders[&3];
    assert_eq!((order.status, order.filled, order.cancelled()), (Status::Expired, shares(1), shares(7)));
    // Its correction makes it whole.
    assert_eq!(late.and(fill(3, "T3", 7, "100.00")).book().orders[&3].status, Status::Filled);
}

#[test]
fn a_trade_in_the_place_of_a_cancelled_one_leaves_blocked_what_a_change_asks_for() {
    let asked = holding().and(sell(1, "100.00")).and(report(4, ReportKind::Accepted)).and(change(4, Some(2), None));
    let undone = asked.and(fill(4, "T1", 1, "100.00")).and(cancel_trade(4, "T1", TODAY, SOON));
    let corrected = undone.and(fill(4, "T2", 1, "100.00"));
    assert_eq!(corrected.book().positions[&instrument()].blocked, shares(1));
    let asked = funded().and(buy(24, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let asked = asked.and(cancel_trade(3, "T1", TODAY, SOON)).and(change(3, Some(25), None));
    assert_eq!(asked.and(fill(3, "T2", 15, "100.00")).book().cash.blocked, rupees("100.00"));
}

#[test]
fn a_netted_sale_leaves_nothing_usable_and_a_gain_is_none() {
    // A gain of 500.00 and a sale of 1000.00 settle on one day; the sale alone may be used.
    let gained = holding().and(mis(buy(50, "100.00"))).and(fill(4, "T1", 50, "100.00"));
    let gained = gained.and(mis(sell(50, "110.00"))).and(fill(6, "T2", 50, "110.00"));
    let sold = gained.and(sell(10, "100.00")).and(fill(8, "T3", 10, "100.00")).at("2026-11-24T10:00:00+05:30");
    let sold = sold.and_all_due();
    assert_eq!(sold.book().cash.available(), rupees("101000.00"));
    let undone = sold.and(cancel_trade(8, "T3", TODAY, "2026-11-24T10:00:00+05:30"));
    assert_eq!(undone.book().cash.receivable(), rupees("500.00"));
    assert_eq!(undone.book().cash.available(), rupees("100000.00"));
}

#[test]
fn days_that_settle_together_share_what_is_usable_and_it_is_never_below_zero() {
    // Nothing settles on the 24th, so what trades on the 23rd and what an exchange reports of the 24th settle together.
    let asked = holding().fact(holiday("2026-11-24")).and(buy(10, "80.00")).and(fill(4, "T1", 10, "80.00"));
    let asked = asked.and(sell(10, "100.00")).and(fill(6, "T2", 10, "100.00"));
    let asked = asked.and(sell(10, "100.00")).and(buy(10, "100.00")).at("2026-11-24T11:00:00+05:30").and_all_due();
    let on_the_24th = |seq, trade, value| fill_at(seq, trade, 10, value, "2026-11-24T10:00:00+05:30");
    let sold = asked.and(on_the_24th(8, "T3", "100.00"));
    let usable = |given: &Given| given.book().cash.due[&date("2026-11-25")].usable;
    assert_eq!(usable(&sold), rupees("1800.00"));
    // Of the netted day nobody knows which part was the sale's: all of it goes, and so 200.00 of the other day's.
    let undone = sold.and(cancel_trade(6, "T2", TODAY, "2026-11-24T11:00:00+05:30"));
    assert_eq!(usable(&undone), rupees("800.00"));
    // The other day's sale is covered at 10.00 a share: of its 1000.00 all but 100.00 would go, and 800.00 are left.
    let netted = undone.and(on_the_24th(9, "T4", "10.00")).at("2026-11-25T00:00:00+05:30").and_all_due();
    assert_eq!(usable(&netted), Money::ZERO);
    // Paid 800.00 and 100.00, received 1000.00.
    let settled = netted.at("2026-11-25T15:30:00+05:30").and_all_due();
    assert_eq!(settled.book().cash.available(), rupees("100100.00"));
}

#[test]
fn a_sale_is_undone_and_its_shares_come_back_from_where_they_went() {
    let sold = holding().and(sell(10, "100.00")).and(fill(4, "T1", 10, "100.00"));
    assert_eq!(sold.book().cash.available(), rupees("101000.00"));
    let undone = sold.and(cancel_trade(4, "T1", TODAY, SOON));
    assert_eq!(held(&undone).settled, shares(10));
    assert_eq!(undone.book().cash.available(), rupees("100000.00"));
    let settled = undone.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!((held(&settled).settled, settled.book().cash.settled), (shares(10), rupees("100000.00")));
}

#[test]
fn a_purchase_whose_shares_were_sold_since_leaves_the_holding_short_by_them() {
    let both = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let both = both.and(sell(10, "100.00")).and(fill(5, "T2", 10, "100.00"));
    let undone = both.and(cancel_trade(3, "T1", TODAY, SOON));
    assert_eq!(held(&undone).settled, shares(-10));
    let settled = undone.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!((held(&settled).settled, settled.book().cash.settled), (shares(-10), rupees("101000.00")));
    assert_eq!(settled.next_due(), None);
}

#[test]
fn a_purchase_that_is_cancelled_leaves_nothing_usable_of_the_sale_of_its_shares() {
    let both = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let both = both.and(sell(10, "100.00")).and(fill(5, "T2", 10, "100.00"));
    let undone = both.clone().and(cancel_trade(3, "T1", TODAY, SOON));
    assert_eq!(undone.book().cash.available(), rupees("100000.00"));
    let netted = undone.at("2026-11-24T10:00:00+05:30").and_all_due();
    assert_eq!(netted.book().cash.available(), rupees("100000.00"));
    // The same when that is told once the day is netted.
    let late = both.at("2026-11-24T10:00:00+05:30").and_all_due();
    let late = late.and(cancel_trade(3, "T1", TODAY, "2026-11-24T10:00:00+05:30"));
    assert_eq!(late.book().cash.available(), rupees("100000.00"));
    let settled = late.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!(settled.book().cash.available(), rupees("101000.00"));
}

#[test]
fn a_sale_that_settled_shares_cover_instead_stays_usable() {
    let both = holding().and(buy(10, "100.00")).and(fill(4, "T1", 10, "100.00"));
    let both = both.and(sell(10, "100.00")).and(fill(6, "T2", 10, "100.00"));
    let undone = both.and(cancel_trade(4, "T1", TODAY, SOON));
    assert_eq!((held(&undone), undone.book().cash.available()), (Shares::default(), rupees("101000.00")));
}

#[test]
fn what_is_left_of_a_days_purchases_bounds_what_its_sales_may_be_used_for() {
    // 900.00 of the sale may be used at the average of 90.00; at 80.00 it is 800.00.
    let both = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let both = both.and(buy(10, "80.00")).and(fill(5, "T2", 10, "80.00"));
    let sold = both.and(sell(10, "100.00")).and(fill(7, "T3", 10, "100.00"));
    assert_eq!(sold.book().cash.available(), rupees("99100.00"));
    assert_eq!(sold.and(cancel_trade(3, "T1", TODAY, SOON)).book().cash.available(), rupees("100000.00"));
}

#[test]
fn a_purchase_is_undone_after_its_day_was_netted_and_after_it_settled() {
    let bought = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let netted = bought.clone().at("2026-11-24T10:00:00+05:30").and_all_due();
    let undone = netted.and(cancel_trade(3, "T1", TODAY, "2026-11-24T10:00:00+05:30"));
    assert_eq!((held(&undone), undone.book().cash.payable()), (Shares::default(), Money::ZERO));
    let settled = bought.at("2026-11-25T10:00:00+05:30").and_all_due();
    let undone = settled.and(cancel_trade(3, "T1", TODAY, "2026-11-25T10:00:00+05:30"));
    assert_eq!((held(&undone), undone.book().cash.settled), (Shares::default(), rupees("100000.00")));
}

#[test]
fn an_intraday_trade_is_undone_as_by_its_opposite() {
    let bought = funded().and(mis(buy(10, "100.00"))).and(fill(3, "T1", 6, "100.00")).and(fill(3, "T2", 4, "101.00"));
    let undone = bought.and(cancel_trade(3, "T2", TODAY, SOON));
    let position = undone.book().intraday[&(date(TODAY), instrument())].position;
    // 1004.00 less 4 at the average of 100.40, which is 0.60 a share below what is taken back.
    assert_eq!((position.quantity, position.value), (shares(6), rupees("602.40")));
    assert_eq!(undone.book().cash.receivable(), rupees("2.40"));
}

#[test]
fn a_cancellation_told_twice_is_known_and_the_trade_does_not_come_back() {
    let undone = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let undone = undone.and(cancel_trade(3, "T1", TODAY, SOON));
    let again = undone.when(cancel_trade(3, "T1", TODAY, SOON)).then_known();
    again.when(fill(3, "T1", 10, "100.00")).then_known();
}

#[test]
fn a_cancellation_of_a_trade_that_is_not_known_is_recorded_without_effect() {
    let nothing = funded().and(buy(10, "100.00")).when(cancel_trade(3, "T1", TODAY, SOON));
    assert_eq!((told(&nothing).undone.as_ref(), told(&nothing).unmatched), (None, None));
    let nothing = nothing.then_events(&["trade_cancelled"]);
    assert_eq!(nothing.book().orders[&3].filled, shares(0));
    nothing.when(cancel_trade(77, "T1", TODAY, SOON)).then_events(&["trade_cancelled"]);
}

#[test]
fn a_cancellation_that_comes_before_its_trade_undoes_it_beforehand() {
    let told = funded().and(buy(10, "100.00")).and(cancel_trade(3, "T1", TODAY, SOON));
    let then = told.when(fill(3, "T1", 10, "100.00"));
    // Both are on record: what it said, and that nobody waits for it.
    match (&then.events()[0].data, &then.events()[1].data) {
        (EventData::FillUnmatched(trade), EventData::TradeCancelled(cancelled)) => {
            assert_eq!(
                (trade.quantity, trade.price, trade.reason),
                (shares(10), price("100.00"), Unmatched::Cancelled)
            );
            assert_eq!((cancelled.unmatched, cancelled.undone.as_ref()), (Some(5), None));
        }
        other => panic!("{other:?}"),
    }
    let late = then.then_events(&["fill_unmatched", "trade_cancelled"]);
    assert_eq!((held(&late), late.book().orders[&3].filled), (Shares::default(), shares(0)));
    assert!(late.book().unmatched.is_empty());
    late.when(fill(3, "T2", 10, "100.00")).then_accepted();
}

#[test]
fn a_trade_told_after_its_cancellation_is_known_from_then_on_and_leaves_like_any_other() {
    let bare = fill(3, "T1", 10, "100.00");
    let named = Fill { instrument: Some(instrument()), side: Some(Side::Buy), ..bare.clone() };
    let order = funded().and(buy(10, "100.00"));
    for told in [&bare, &named] {
        let late = order.clone().and(cancel_trade(3, "T1", TODAY, SOON)).and(told.clone());
        for again in [&bare, &named] {
            let known = late.clone().when(again.clone()).then_known();
            let other = Fill { quantity: shares(9), ..again.clone() };
            known.when(other).then_refused(Rejection::FillContradicted);
        }
        let again = late.when(cancel_trade(3, "T1", TODAY, SOON)).then_known();
        let gone = again.at("2026-12-02T10:00:00+05:30").and_all_due().and(deposit("1.00"));
        assert!(gone.book().trades.is_empty());
    }
    // Of an order that is not known as well.
    let late = funded().and(cancel_trade(77, "T1", TODAY, SOON)).and(fill(77, "T1", 10, "100.00"));
    let known = late.when(fill(77, "T1", 10, "100.00")).then_known();
    known.clone().when(fill(77, "T1", 9, "100.00")).then_refused(Rejection::FillContradicted);
    assert!(known.at("2026-12-02T10:00:00+05:30").and(deposit("1.00")).book().trades.is_empty());
}

#[test]
fn a_trade_that_waits_for_assignment_waits_no_longer_once_cancelled() {
    let waiting = funded().and(fill(77, "T1", 10, "100.00"));
    let cancelled = waiting.when(cancel_trade(77, "T1", TODAY, SOON));
    assert_eq!(told(&cancelled).unmatched, Some(3));
    let cancelled = cancelled.then_accepted().and(buy(10, "100.00"));
    cancelled.when(Assign { seq: 3, order_id: order_id(5) }).then_refused(Rejection::UnknownUnmatchedFill);
}

#[test]
fn what_was_bought_on_the_day_of_a_sale_that_is_undone_later_is_not_settled_before_its_time() {
    let next = "2026-11-24T10:00:00+05:30";
    let both = holding().and(sell(10, "100.00")).and(fill(4, "T1", 10, "100.00"));
    let both = both.and(buy(10, "100.00")).and(fill(6, "T2", 10, "100.00")).at(next).and_all_due();
    assert_eq!(held(&both), Shares { settled: shares(10), ..Shares::default() });
    let undone = both.and(cancel_trade(4, "T1", TODAY, next));
    assert_eq!(held(&undone), Shares { t1: shares(10), settled: shares(10), ..Shares::default() });
    let settled = undone.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!((held(&settled).settled, settled.next_due()), (shares(20), None));
    // Nothing was bought: what was sold has been settled all along.
    let sold = holding().and(sell(10, "100.00")).and(fill(4, "T1", 10, "100.00")).at(next).and_all_due();
    assert_eq!(held(&sold.and(cancel_trade(4, "T1", TODAY, next))).settled, shares(10));
}

#[test]
fn a_trade_that_was_assigned_is_undone_under_the_order_it_was_reported_for() {
    let waiting = funded().and(buy(10, "100.00")).and(fill(77, "T1", 10, "100.00"));
    let assigned = waiting.and(Assign { seq: 4, order_id: order_id(3) });
    // Told again, under either order.
    let assigned = assigned.when(fill(77, "T1", 10, "100.00")).then_known();
    let assigned = assigned.when(fill(3, "T1", 10, "100.00")).then_known();
    let cancelled = assigned.when(cancel_trade(77, "T1", TODAY, SOON));
    assert_eq!((told(&cancelled).order_id, told(&cancelled).undone.is_some()), (order_id(3), true));
    let cancelled = cancelled.then_accepted();
    assert_eq!((cancelled.book().orders[&3].filled, held(&cancelled)), (shares(0), Shares::default()));
    for seq in [3, 77] {
        cancelled.clone().when(cancel_trade(seq, "T1", TODAY, SOON)).then_known();
    }
}

#[test]
fn the_other_side_of_a_trade_that_was_assigned_may_be_the_accounts_own() {
    let waiting = holding().and(buy(5, "100.00")).and(sell(5, "100.00")).and(fill(77, "T1", 5, "100.00"));
    // What waits under the number is another order's.
    assert_eq!(waiting.clone().and(fill(5, "T1", 5, "100.00")).book().orders[&5].filled, shares(5));
    let assigned = waiting.and(Assign { seq: 6, order_id: order_id(4) });
    let both = assigned.and(fill(5, "T1", 5, "100.00"));
    assert_eq!((both.book().orders[&4].filled, both.book().orders[&5].filled), (shares(5), shares(5)));
}

#[test]
fn a_trade_is_not_assigned_when_its_number_is_another_trades_of_that_side() {
    let twice = funded().and(buy(5, "100.00")).and(buy(5, "100.00"));
    let twice = twice.and(fill(3, "T1", 5, "100.00")).and(fill(77, "T1", 5, "100.00"));
    let refused = twice.when(Assign { seq: 6, order_id: order_id(4) }).then_refused(Rejection::FillContradicted);
    // So that this one stays known, and is undone when it is cancelled.
    let undone = refused.when(fill(3, "T1", 5, "100.00")).then_known().and(cancel_trade(3, "T1", TODAY, SOON));
    assert_eq!(held(&undone), Shares::default());
}

#[test]
fn a_cancellation_before_its_trade_counts_for_an_order_that_is_not_known_and_for_no_other() {
    let told = funded().and(buy(10, "100.00")).and(cancel_trade(77, "T1", TODAY, SOON));
    let late = told.when(fill(77, "T1", 10, "100.00")).then_events(&["fill_unmatched", "trade_cancelled"]);
    assert!(late.book().unmatched.is_empty());
    assert_eq!(late.and(fill(3, "T1", 10, "100.00")).book().orders[&3].filled, shares(10));
}

#[test]
fn a_trade_beyond_the_order_is_cancelled_where_it_waits_and_the_order_is_left_alone() {
    let beyond = funded().and(buy(10, "100.00")).and(fill(3, "T1", 8, "100.00")).and(fill(3, "T2", 8, "100.00"));
    let cancelled = beyond.when(cancel_trade(3, "T2", TODAY, SOON));
    assert_eq!((told(&cancelled).undone.as_ref(), told(&cancelled).unmatched), (None, Some(5)));
    assert_eq!(cancelled.then_accepted().book().orders[&3].filled, shares(8));
}

#[test]
fn what_was_cancelled_stays_filled_in_part_and_the_sides_are_kept_apart() {
    let both = holding().and(sell(5, "100.00")).and(fill(4, "T1", 5, "100.00"));
    let both = both.and(buy(5, "100.00")).and(fill(6, "T1", 5, "100.00"));
    assert_eq!(held(&both), Shares { bought_today: shares(5), t1: shares(0), settled: shares(5) });
    let undone = both.and(cancel_trade(6, "T1", TODAY, SOON));
    assert_eq!(held(&undone).settled, shares(5));
    assert_eq!(undone.book().orders[&4].status, Status::Filled);
    let closed = undone.and(report(4, ReportKind::Cancelled));
    assert_eq!((closed.book().orders[&4].status, closed.book().orders[&4].side), (Status::Filled, Side::Sell));
}

#[test]
fn a_trade_of_a_netted_day_is_undone_alike_before_and_after_what_came_since_is_netted() {
    let day = "2026-11-23T10:02:00+05:30";
    let next = "2026-11-24T10:00:00+05:30";
    let traded = |given: Given, named, other| {
        let netted = given.and(fill_at(named, "T1", 4, "100.00", day)).at(next).and_all_due();
        let (late, cancelled) = (fill_at(other, "T2", 3, "100.00", day), cancel_trade(named, "T1", TODAY, next));
        let first = netted.clone().and(cancelled.clone()).and_all_due().and(late.clone()).and_all_due();
        // The back office has not come in between.
        let then = netted.and(late).when(cancelled);
        let moved = told(&then).undone.as_ref().and_then(|undone| undone.moved);
        let last = then.then_accepted().and_all_due();
        assert_eq!((held(&first), &first.book().cash), (held(&last), &last.book().cash));
        moved.expect("shares")
    };
    let orders = holding().and(sell(4, "100.00")).and(buy(4, "100.00"));
    let settled = |count| Shares { settled: shares(count), ..Shares::default() };
    assert_eq!(traded(orders.clone(), 4, 5), settled(4));
    assert_eq!(traded(orders, 5, 4), Shares { t1: shares(-4), ..Shares::default() });
}
