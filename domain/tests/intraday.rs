//! Intraday (MIS): margin on both sides, short selling, gains at closing, squaring off, and delivery of what is left.
mod support;

use domain::{
    command::Command,
    event::EventData,
    intraday::{Convert, Intraday},
    money::Money,
    order::{Modify, Product, ReportKind, Side, Status},
    position::Shares,
    rejection::Rejection,
    testing::Given,
};
use support::*;

const TODAY: &str = "2026-11-23";
const SQUARE_OFF: &str = "2026-11-23T15:20:00+05:30";
const CLOSE: &str = "2026-11-23T15:30:00+05:30";

fn open_position(given: &Given) -> (i64, Money, Money) {
    let standing = given.book().intraday.get(&(date(TODAY), instrument()));
    let Intraday { quantity, value, margin } = standing.map(|standing| standing.position).unwrap_or_default();
    (quantity.shares(), value, margin)
}
fn held(given: &Given) -> Shares {
    given.book().positions.get(&instrument()).map_or_else(Shares::default, |position| position.shares)
}
/// Ten bought intraday at 100.00 as order 3.
fn bought() -> Given {
    funded().and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00"))
}
/// Ten sold short at 100.00 as order 3.
fn sold() -> Given {
    funded().and(mis(sell(10, "100.00"))).and(fill(3, "T1", 10, "100.00"))
}

#[test]
fn a_fifth_is_blocked_on_either_side() {
    for order in [buy(10, "100.00"), sell(10, "100.00")] {
        let placed = funded().and(mis(order));
        assert_eq!(placed.book().cash.blocked, rupees("200.00"));
        assert!(placed.book().positions.is_empty(), "nothing is held and nothing is blocked of it");
    }
    // At market: the upper band, for a sale too.
    assert_eq!(funded().and(mis(order(Side::Sell, 10, None))).book().cash.blocked, rupees("240.00"));
}

#[test]
fn more_than_a_fifth_covers_is_refused_and_says_by_how_much() {
    let poor = given_rupees("199.99");
    let refused = poor.when(mis(buy(10, "100.00")));
    match &refused.events()[0].data {
        EventData::CommandRefused(refused) => assert_eq!(&*refused.figures["short"], "0.01"),
        other => panic!("{other:?}"),
    }
    refused.then_refused(Rejection::InsufficientCash);
}

#[test]
fn a_position_keeps_its_margin_and_pays_nothing_until_it_is_closed() {
    let bought = bought();
    assert_eq!(open_position(&bought), (10, rupees("1000.00"), rupees("200.00")));
    let cash = &bought.book().cash;
    assert_eq!((cash.blocked, cash.payable(), cash.available()), (rupees("200.00"), Money::ZERO, rupees("99800.00")));
    assert_eq!(held(&bought), Shares::default());
}

#[test]
fn a_gain_is_receivable_and_not_usable_before_it_settles() {
    let closing = bought().and(mis(sell(10, "110.00")));
    assert_eq!(closing.book().cash.blocked, rupees("200.00"), "what closes needs no margin of its own");
    let closed = closing.when(fill(5, "T2", 10, "110.00"));
    let closed = closed.then_events(&["order_filled", "position_changed", "cash_posted"]);
    let cash = &closed.book().cash;
    assert_eq!((cash.receivable(), cash.blocked), (rupees("100.00"), Money::ZERO));
    assert_eq!(cash.available(), rupees("100000.00"));
    let settled = closed.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!(settled.book().cash.available(), rupees("100100.00"));
}

#[test]
fn a_loss_counts_at_once() {
    let closed = sold().and(mis(buy(10, "105.00"))).and(fill(5, "T2", 10, "105.00"));
    let cash = &closed.book().cash;
    assert_eq!((cash.payable(), cash.available()), (rupees("50.00"), rupees("99950.00")));
    assert_eq!(open_position(&closed).0, 0);
}

#[test]
fn what_is_closed_takes_its_part_of_what_was_paid_and_the_parts_make_the_whole() {
    // 3 at 100.00 and 4 at 100.10: 700.40 for 7. Two and five sold.
    let bought = funded().and(mis(buy(3, "100.00"))).and(fill(3, "T1", 3, "100.00"));
    let bought = bought.and(mis(buy(4, "100.10"))).and(fill(5, "T2", 4, "100.10"));
    let part = bought.and(mis(sell(7, "100.00"))).and(fill(7, "T3", 2, "100.00"));
    // 700.40 * 2 / 7 = 200.114..
    assert_eq!(open_position(&part), (5, rupees("500.29"), rupees("100.06")));
    assert_eq!(part.book().cash.payable(), rupees("0.11"));
    let whole = part.and(fill(7, "T4", 5, "100.00"));
    assert_eq!(open_position(&whole).1, Money::ZERO);
    assert_eq!(whole.book().cash.payable(), rupees("0.40"));
}

#[test]
fn a_trade_beyond_what_is_open_turns_the_position() {
    let turned = bought().and(mis(sell(15, "110.00")));
    // Five of fifteen open: a fifth of 550.00.
    assert_eq!(turned.book().cash.blocked, rupees("310.00"));
    let turned = turned.and(fill(5, "T2", 15, "110.00"));
    assert_eq!(open_position(&turned), (-5, rupees("550.00"), rupees("110.00")));
    assert_eq!(turned.book().cash.receivable(), rupees("100.00"));
}

#[test]
fn two_orders_cannot_both_count_on_closing_the_same_position() {
    let first = bought().and(mis(sell(10, "110.00")));
    let second = first.and(mis(sell(10, "110.00")));
    assert_eq!(second.book().cash.blocked, rupees("420.00"));
}

#[test]
fn an_account_in_the_red_may_close_and_may_not_open() {
    // Bought for 500.00 of margin, then the market fell: a loss of 400.00 on half of it leaves less than nothing.
    let poor = given_rupees("500.00").and(mis(buy(25, "100.00"))).and(fill(3, "T1", 25, "100.00"));
    let poor = poor.and(mis(sell(10, "80.00"))).and(fill(5, "T2", 10, "80.00"));
    let poor = poor.and(mis(sell(10, "80.00"))).and(fill(7, "T3", 10, "80.00"));
    assert!(poor.book().cash.available().is_negative() || poor.book().cash.available().is_zero());
    poor.clone().when(mis(buy(1, "100.00"))).then_refused(Rejection::InsufficientCash);
    poor.when(mis(sell(5, "80.00"))).then_accepted();
}

#[test]
fn a_series_that_delivers_share_by_share_takes_no_intraday_order() {
    for series in ["BE", "BZ"] {
        let gross = domain::testing::given().fact(listed(series, Some("0.05"), Some(5)));
        let gross = gross.fact(closed("2026-11-20", "100.00")).and(open()).and(deposit("1000.00"));
        gross.when(mis(buy(1, "100.00"))).then_refused(Rejection::ProductNotAllowed);
    }
}

#[test]
fn what_is_pending_is_cancelled_and_what_is_open_squared_off_at_twenty_past_three() {
    let standing = bought().and(mis(sell(4, "110.00"))).and(report(5, ReportKind::Accepted));
    assert_eq!(standing.next_due(), Some(time(SQUARE_OFF)));
    let due = standing.at(SQUARE_OFF);
    let names: Vec<String> = due.due().iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(names, ["square-off/2026-11-23/cancel/ACC1-5"]);
    let asked = due.and_all_due();
    assert_eq!(asked.next_due(), Some(time("2026-11-23T15:25:00+05:30")), "the venue has not answered");
    let cancelled = asked.and(report(5, ReportKind::Cancelled));
    let (id, command) = cancelled.due().remove(0);
    assert_eq!(id.as_str(), "square-off/2026-11-23/NSE:BAHI/MIS");
    let squaring = cancelled.when(command).then_events(&["order_requested"]);
    let order = squaring.book().orders.values().last().expect("the order");
    assert_eq!((order.side, order.quantity, order.blocked), (Side::Sell, shares(10), Money::ZERO));
    assert!(squaring.due().is_empty());
    let seq = squaring.book().seq;
    let closed = squaring.and(fill_at(seq, "T9", 10, "99.00", SQUARE_OFF));
    assert_eq!((open_position(&closed).0, closed.book().cash.payable()), (0, rupees("10.00")));
}

#[test]
fn a_short_sale_blocks_at_the_last_price_at_least() {
    assert_eq!(funded().and(mis(sell(10, "80.00"))).book().cash.blocked, rupees("200.00"));
    assert_eq!(funded().and(mis(stop(Side::Sell, 10, "95.00", Some("81.00")))).book().cash.blocked, rupees("200.00"));
}

#[test]
fn a_stop_and_a_target_share_the_position_and_the_one_left_over_blocks_its_margin() {
    let stopped = bought().and(mis(stop(Side::Sell, 10, "95.00", None)));
    let both = stopped.and(mis(sell(10, "110.00")));
    assert_eq!(both.book().cash.blocked, rupees("420.00"));
    let closed = both.and(fill(6, "T2", 10, "110.00"));
    let stop = &closed.book().orders[&5];
    // Ten at the upper band of 120.00: it would open a short position now.
    assert_eq!((stop.opening, stop.blocked), (shares(10), rupees("240.00")));
    assert_eq!(closed.book().cash.blocked, rupees("240.00"));
    let cancelled = closed.and(report(5, ReportKind::Cancelled));
    assert_eq!(cancelled.book().cash.blocked, Money::ZERO);
}

#[test]
fn a_stop_that_is_moved_keeps_its_part_of_the_position_and_one_that_left_gives_it_to_the_next() {
    let stopped = bought().and(mis(stop(Side::Sell, 10, "95.00", None)));
    let both = stopped.and(mis(sell(10, "110.00"))).and(report(5, ReportKind::Accepted));
    let trailing = Modify { trigger_price: Some(price("96.00")), ..change(5, None, None) };
    let moved = both.and(trailing);
    assert_eq!(moved.book().cash.blocked, rupees("420.00"), "ten still close and ten still open");
    let moved = moved.and(report(5, ReportKind::Modified));
    assert_eq!((moved.book().orders[&5].opening, moved.book().cash.blocked), (shares(0), rupees("420.00")));
    let left = moved.and(report(5, ReportKind::Cancelled)).and(mis(sell(10, "105.00")));
    assert_eq!(left.book().cash.blocked, rupees("420.00"), "twenty may be sold, ten of them close");
}

#[test]
fn a_change_that_waits_keeps_what_it_would_close_from_others() {
    let long = funded().and(mis(buy(20, "100.00"))).and(fill(3, "T1", 20, "100.00"));
    let asked = long.and(mis(sell(10, "110.00"))).and(report(5, ReportKind::Accepted)).and(change(5, Some(20), None));
    assert_eq!(asked.book().cash.blocked, rupees("400.00"), "all twenty close");
    asked.clone().when(convert(1)).then_refused(Rejection::InsufficientShares);
    let other = asked.and(mis(sell(10, "110.00")));
    assert_eq!(other.book().cash.blocked, rupees("620.00"), "ten more open");
    assert_eq!(other.and(report(5, ReportKind::Modified)).book().cash.blocked, rupees("620.00"));
}

#[test]
fn an_order_that_closes_more_than_it_was_counted_on_opens_less() {
    let long = funded().and(mis(buy(8, "100.00"))).and(fill(3, "T1", 8, "100.00"));
    let two = long.and(mis(sell(1, "110.00"))).and(mis(sell(8, "110.00")));
    assert_eq!(two.book().orders[&6].opening, shares(1));
    let part = two.and(report(5, ReportKind::Rejected)).and(fill(6, "T2", 1, "110.00"));
    let order = &part.book().orders[&6];
    assert_eq!((order.opening, order.closing(), order.blocked), (shares(0), shares(7), Money::ZERO));
}

#[test]
fn the_order_that_squares_off_is_the_back_offices_alone() {
    let squaring = bought().at(SQUARE_OFF).and_all_due();
    let seq = *squaring.book().orders.last_key_value().expect("the order").0;
    squaring.clone().when(cancel(seq)).then_refused(Rejection::SquareOffOrder);
    squaring.when(change(seq, Some(20), None)).then_refused(Rejection::SquareOffOrder);
    let standing = bought().and(mis(buy(5, "99.00"))).and(report(5, ReportKind::Accepted));
    standing.at(SQUARE_OFF).when(change(5, Some(50), None)).then_refused(Rejection::SquareOffPassed);
}

#[test]
fn a_square_off_that_the_venue_refuses_is_asked_again_and_not_for_ever() {
    let mut given = bought().at(SQUARE_OFF);
    for id in ["", "/1", "/2"] {
        assert_eq!(given.due()[0].0.as_str(), format!("square-off/2026-11-23/NSE:BAHI/MIS{id}"));
        given = given.and_all_due();
        let seq = given.book().seq;
        given = given.and(report(seq, ReportKind::Rejected));
    }
    assert!(given.due().is_empty());
    assert_eq!(given.next_due(), Some(time(CLOSE)));
}

#[test]
fn a_square_off_that_was_refused_does_not_keep_a_later_one_from_being_asked() {
    // Sold all but the last moment before squaring off: told after that was due, and cancelled by the exchange since.
    let over = bought().and(mis(sell(10, "110.00"))).and(report(5, ReportKind::Accepted));
    let over = over.and(report(5, ReportKind::Cancelled)).at(SQUARE_OFF);
    let (first, asked) = over.due().remove(0);
    assert_eq!(first.as_str(), "square-off/2026-11-23/NSE:BAHI/MIS");
    let closed = over.and(fill_at(5, "T2", 10, "110.00", "2026-11-23T15:19:59+05:30"));
    let refused = closed.when(asked).then_refused(Rejection::NotDue);
    let again = refused.and(cancel_trade(5, "T2", TODAY, SQUARE_OFF));
    let (second, asked) = again.due().remove(0);
    assert_ne!(second, first, "an id that was answered is not asked again");
    let squaring = again.when(asked).then_events(&["order_requested"]);
    // Refused by the venue, then closed, refused and open once more: a new id each time.
    let seq = squaring.book().seq;
    let rejected = squaring.and(report(seq, ReportKind::Rejected));
    let (third, asked) = rejected.due().remove(0);
    let closed = rejected.and(fill_at(seq, "T3", 10, "110.00", SQUARE_OFF));
    let refused = closed.when(asked).then_refused(Rejection::NotDue);
    let open = refused.and(cancel_trade(seq, "T3", TODAY, SQUARE_OFF));
    assert!([first, second, third].iter().all(|id| *id != open.due()[0].0));
}

#[test]
fn a_late_trade_of_a_square_off_that_was_refused_does_not_bring_a_second_one_beside_the_next() {
    let asked = bought().at(SQUARE_OFF).and_all_due();
    let first = asked.book().seq;
    let again = asked.and(report(first, ReportKind::Rejected)).and_all_due();
    let second = again.book().seq;
    let late = again.and(fill_at(first, "T8", 4, "99.00", SQUARE_OFF));
    assert_eq!(open_position(&late).0, 6);
    assert!(late.due().is_empty(), "{second} stands: {:?}", late.due());
}

#[test]
fn a_cancellation_that_the_client_was_refused_does_not_keep_the_back_office_from_asking() {
    let standing = bought().and(mis(sell(10, "110.00"))).and(report(5, ReportKind::Accepted));
    let refused = standing.and(cancel(5)).and(report(5, ReportKind::Rejected)).at(SQUARE_OFF);
    assert_eq!(refused.due()[0].0.as_str(), "square-off/2026-11-23/cancel/ACC1-5");
}

#[test]
fn a_trade_counts_in_the_session_of_its_order_whatever_day_it_is_reported_for() {
    let early = funded().and(mis(buy(10, "100.00"))).and(fill_at(3, "T1", 10, "100.00", "2026-11-20T10:00:00+05:30"));
    assert_eq!(open_position(&early).0, 10);
    assert_eq!(early.next_due(), Some(time(SQUARE_OFF)));
}

#[test]
fn a_fill_of_all_that_stood_leaves_room_for_the_more_that_was_asked() {
    for product in [Product::Cnc, Product::Mis] {
        let order = domain::order::Place { product, ..buy(10, "100.00") };
        let asked = funded().and(order).and(report(3, ReportKind::Accepted)).and(change(3, Some(20), None));
        let filled = asked.and(fill(3, "T1", 10, "100.00"));
        let fifth = |amount: &str, margin: &str| rupees(if product == Product::Cnc { amount } else { margin });
        assert_eq!(filled.book().orders[&3].blocked, fifth("1000.00", "200.00"));
        let rejected = filled.clone().and(report(3, ReportKind::Rejected));
        assert_eq!(
            (rejected.book().orders[&3].status, rejected.book().orders[&3].blocked),
            (Status::Filled, Money::ZERO)
        );
        let over = filled.clone().at(CLOSE).and_all_due();
        assert_eq!(over.book().orders[&3].status, Status::Filled, "nothing was left to expire");
        let granted = filled.and(report(3, ReportKind::Modified)).and(fill(3, "T2", 10, "100.00"));
        let order = &granted.book().orders[&3];
        assert_eq!((order.status, order.filled, order.blocked), (Status::Filled, shares(20), Money::ZERO));
    }
}

#[test]
fn a_venue_that_grants_more_than_was_asked_blocks_for_it() {
    let asked =
        funded().and(mis(buy(10, "100.00"))).and(report(3, ReportKind::Accepted)).and(change(3, Some(12), None));
    let more = domain::order::Report { quantity: Some(shares(20)), ..report(3, ReportKind::Modified) };
    assert_eq!(asked.and(more).book().cash.blocked, rupees("400.00"));
}

#[test]
fn a_venue_that_does_not_answer_does_not_keep_a_position_from_being_squared_off() {
    let silent = sold().and(mis(buy(4, "90.00"))).and(report(5, ReportKind::Accepted)).at(SQUARE_OFF).and_all_due();
    let late = silent.at("2026-11-23T15:25:00+05:30").and_all_due();
    let order = late.book().orders.values().last().expect("the order");
    assert_eq!((order.side, order.quantity, order.squares_off), (Side::Buy, shares(10), true));
}

#[test]
fn what_else_is_wrong_with_a_change_is_said_before_that_it_comes_too_late() {
    let standing = bought().and(mis(buy(5, "99.00"))).and(report(5, ReportKind::Accepted)).at(SQUARE_OFF);
    standing.clone().when(change(5, None, Some("99.01"))).then_refused(Rejection::PriceOffTick);
    standing.when(change(5, None, Some("99.05"))).then_refused(Rejection::SquareOffPassed);
}

#[test]
fn after_square_off_no_intraday_order_is_taken_and_delivery_is() {
    let late = funded().at(SQUARE_OFF);
    late.clone().when(mis(buy(1, "100.00"))).then_refused(Rejection::SquareOffPassed);
    late.when(buy(1, "100.00")).then_accepted();
}

#[test]
fn what_stays_unfilled_becomes_delivery_when_the_session_ends() {
    let left = bought().at(SQUARE_OFF).and_all_due();
    let delivered = left.at(CLOSE).and_all_due();
    assert_eq!(open_position(&delivered), (0, Money::ZERO, Money::ZERO));
    assert_eq!(held(&delivered), Shares { bought_today: shares(10), ..Shares::default() });
    let cash = &delivered.book().cash;
    assert_eq!((cash.payable(), cash.blocked), (rupees("1000.00"), Money::ZERO));
    let settled = delivered.at("2026-11-24T15:30:00+05:30").and_all_due();
    assert_eq!(held(&settled).settled, shares(10));
    assert_eq!(settled.book().cash.settled, rupees("99000.00"));
    assert_eq!(settled.next_due(), None);
}

#[test]
fn a_short_position_left_open_is_delivered_from_the_holding() {
    let covered = holding().and(mis(sell(10, "100.00"))).and(fill(4, "T1", 10, "100.00")).at(CLOSE).and_all_due();
    assert_eq!((held(&covered), open_position(&covered).0), (Shares::default(), 0));
    assert_eq!((covered.book().cash.receivable(), covered.book().cash.blocked), (rupees("1000.00"), Money::ZERO));
}

#[test]
fn what_was_sold_short_and_nobody_can_deliver_keeps_its_margin_and_brings_nothing() {
    let left = sold().at(CLOSE);
    let (id, deliver) = left.due().into_iter().find(|(id, _)| id.as_str().starts_with("deliver/")).expect("due");
    assert_eq!(id.as_str(), "deliver/2026-11-23/NSE:BAHI/4");
    let short = left.when(deliver);
    match &short.events()[0].data {
        EventData::PositionConverted(none) => {
            assert_eq!((none.quantity, none.value, none.after.quantity), (shares(0), Money::ZERO, shares(-10)));
        }
        other => panic!("{other:?}"),
    }
    let short = short.then_events(&["position_converted"]);
    assert_eq!(open_position(&short), (-10, rupees("1000.00"), rupees("200.00")));
    assert_eq!((held(&short), short.book().cash.receivable()), (Shares::default(), Money::ZERO));
    // Its settlement date brings nothing either, and nothing stays due.
    let later = short.and_all_due().at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!(later.book().cash.withdrawable(), rupees("99800.00"));
    assert_eq!(later.book().cash.available(), rupees("99800.00"));
    assert_eq!(later.next_due(), None);
    later.when(withdraw("99800.01")).then_refused(Rejection::InsufficientCash);
}

#[test]
fn a_short_delivery_ends_with_the_trade_that_closes_it_out() {
    let asked = sold().at(SQUARE_OFF).and_all_due();
    let square_off = asked.book().seq;
    let short = asked.at(CLOSE).and_all_due();
    assert_eq!((open_position(&short).0, short.book().cash.blocked), (-10, rupees("200.00")));
    // Bought in the auction of the next day.
    let auction = "2026-11-24T14:30:00+05:30";
    let closed = short.at("2026-11-24T17:00:00+05:30").and(fill_at(square_off, "A1", 10, "118.00", auction));
    assert_eq!((open_position(&closed).0, closed.book().cash.blocked), (0, Money::ZERO));
    assert_eq!(closed.book().cash.payable(), rupees("180.00"));
    let settled = closed.at("2026-11-25T16:00:00+05:30").and_all_due();
    assert_eq!((held(&settled), settled.book().cash.settled), (Shares::default(), rupees("99820.00")));
}

#[test]
fn of_a_short_position_what_is_held_is_delivered_and_the_rest_once_it_is() {
    let left = holding().and(mis(sell(16, "100.00"))).and(fill(4, "T1", 16, "100.00")).at(CLOSE).and_all_due();
    assert_eq!(open_position(&left), (-6, rupees("600.00"), rupees("120.00")));
    assert_eq!((held(&left), left.book().cash.receivable()), (Shares::default(), rupees("1000.00")));
    let settled = left.at("2026-11-24T16:00:00+05:30").and_all_due();
    assert_eq!((settled.book().cash.withdrawable(), settled.next_due()), (rupees("100880.00"), None));
    let part = settled.and(imported(domain::history::Kind::Purchase, 4, None, "2025-02-17"));
    let delivered = part.and_all_due();
    assert_eq!((held(&delivered), open_position(&delivered).0), (Shares::default(), -2));
    assert_eq!(delivered.book().cash.withdrawable(), rupees("101360.00"));
    let rest = delivered.and(imported(domain::history::Kind::Purchase, 4, None, "2025-02-17")).and_all_due();
    assert_eq!((held(&rest).settled, open_position(&rest).0), (shares(2), 0));
    assert_eq!((rest.book().cash.withdrawable(), rest.next_due()), (rupees("101600.00"), None));
}

#[test]
fn shares_that_a_pending_sale_blocks_or_that_settle_too_late_do_not_deliver_a_short_position() {
    // Six are for sale in the next session.
    let asked = holding().and(mis(sell(10, "100.00"))).and(fill(4, "T1", 10, "100.00")).at(CLOSE);
    let promised = asked.and(sell(6, "100.00")).and_all_due();
    assert_eq!((held(&promised).settled, open_position(&promised).0), (shares(6), -6));
    let seq = promised.book().orders.last_key_value().map(|(seq, _)| *seq).expect("the sale");
    let freed = promised.and(report(seq, ReportKind::Rejected)).and_all_due();
    assert_eq!((held(&freed).settled, open_position(&freed).0), (shares(0), 0));
    // Bought the day after, they settle the day after the sale.
    let next = "2026-11-24T10:00:00+05:30";
    let short = sold().at(CLOSE).and_all_due().at(next).and(buy(10, "100.00"));
    let seq = short.book().seq;
    let bought = short.and(fill_at(seq, "T5", 10, "100.00", next));
    assert!(bought.due().is_empty(), "{:?}", bought.due());
    let settled = bought.at("2026-11-25T15:30:00+05:30").and_all_due();
    assert_eq!((held(&settled), open_position(&settled).0), (Shares::default(), 0));
}

#[test]
fn a_position_becomes_delivery_when_its_holder_asks_and_pays_in_full() {
    let converted = bought().when(convert(4)).then_events(&[
        "position_converted",
        "position_changed",
        "position_changed",
        "cash_posted",
    ]);
    assert_eq!(open_position(&converted), (6, rupees("600.00"), rupees("120.00")));
    assert_eq!(held(&converted).bought_today, shares(4));
    let cash = &converted.book().cash;
    assert_eq!((cash.payable(), cash.available()), (rupees("400.00"), rupees("99480.00")));
}

#[test]
fn a_conversion_of_more_than_is_open_is_refused() {
    bought().when(convert(11)).then_refused(Rejection::InsufficientShares);
    funded().when(convert(1)).then_refused(Rejection::InsufficientShares);
    bought().when(convert(0)).then_refused(Rejection::QuantityNotPositive);
    let closing = bought().and(mis(sell(8, "110.00")));
    closing.when(convert(3)).then_refused(Rejection::InsufficientShares);
}

#[test]
fn a_conversion_needs_its_cash_and_a_short_one_its_shares() {
    let poor = given_rupees("300.00").and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00"));
    poor.when(convert(10)).then_refused(Rejection::InsufficientCash);
    sold().when(convert(10)).then_refused(Rejection::InsufficientShares);
    let covered = holding().and(mis(sell(10, "100.00"))).and(fill(4, "T1", 10, "100.00"));
    let delivered = covered.and(convert(10));
    assert_eq!((held(&delivered), delivered.book().cash.receivable()), (Shares::default(), rupees("1000.00")));
}

#[test]
fn a_conversion_is_covered_with_the_margins_that_it_brings_to_other_orders() {
    // Ten bought; the first order that closes them leaves, so that of two more the later one closes five.
    let long = |amount: &str| {
        let bought = given_rupees(amount).and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00"));
        let opens =
            bought.and(mis(sell(10, "100.00"))).and(mis(sell(10, "100.00"))).and(report(5, ReportKind::Cancelled));
        opens.and(mis(sell(5, "119.00")))
    };
    // Five cost 500.00 and free 100.00; the earlier order closes the other five then, which frees 100.00 of it and
    // blocks 119.00 for the later one.
    long("818.99").when(convert(5)).then_refused(Rejection::InsufficientCash);
    assert_eq!(long("819.00").and(convert(5)).book().cash.available(), Money::ZERO);
}

#[test]
fn only_intraday_becomes_delivery() {
    let back = Convert { from: Product::Cnc, to: Product::Mis, ..convert(1) };
    bought().when(back).then_refused(Rejection::ConversionNotAllowed);
    let early = Convert { trade_date: Some(date(TODAY)), ..convert(1) };
    bought().when(early).then_refused(Rejection::NotDue);
}

#[test]
fn a_trade_reported_after_the_session_becomes_delivery_at_once() {
    let over = funded().and(mis(buy(10, "100.00"))).at("2026-11-23T16:00:00+05:30").and_all_due();
    assert_eq!(over.book().orders[&3].status, Status::Expired);
    let late = over.and(fill(3, "T1", 10, "100.00"));
    assert_eq!(open_position(&late).0, 10);
    assert!(matches!(late.due()[0].1, Command::ConvertPosition(_)));
    assert_eq!(held(&late.and_all_due()).bought_today, shares(10));
}

#[test]
fn intraday_and_delivery_of_one_instrument_stand_side_by_side() {
    let both = holding().and(mis(sell(10, "100.00"))).and(fill(4, "T1", 10, "100.00"));
    assert_eq!((held(&both).settled, open_position(&both).0), (shares(10), -10));
    let sold = both.and(sell(10, "100.00")).and(fill(6, "T2", 10, "100.00"));
    assert_eq!((held(&sold), open_position(&sold).0), (Shares::default(), -10));
}

fn given_rupees(amount: &str) -> Given {
    let market = domain::testing::given().fact(listed("EQ", Some("0.05"), Some(20)));
    market.fact(closed("2026-11-20", "100.00")).and(open()).and(deposit(amount))
}
