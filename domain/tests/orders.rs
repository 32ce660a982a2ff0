//! Orders from request to end, as stories of one account.
mod support;

use domain::{event::EventData, ids::*, money::*, order::*, rejection::Rejection, testing::given};
use support::*;

#[test]
fn a_limit_purchase_blocks_its_full_value() {
    let book = funded().and(buy(10, "101.05"));
    assert_eq!(book.book().cash.blocked, rupees("1010.50"));
    assert_eq!(book.book().cash.available(), rupees("98989.50"));
}

#[test]
fn an_order_placed_in_the_session_is_for_today_and_after_it_for_the_next_session() {
    let session_of = |at: &str| match &funded().at(at).when(buy(1, "100.00")).events()[0].data {
        EventData::OrderRequested(requested) => requested.session_date,
        other => panic!("{other:?}"),
    };
    assert_eq!(session_of("2026-11-23T03:00:00+05:30"), date("2026-11-23"));
    assert_eq!(session_of("2026-11-23T15:29:59.999999+05:30"), date("2026-11-23"));
    assert_eq!(session_of("2026-11-23T15:30:00+05:30"), date("2026-11-24"));
    assert_eq!(session_of("2026-11-27T16:00:00+05:30"), date("2026-11-30"));
}

#[test]
fn past_the_recorded_calendar_the_order_says_that_the_session_is_assumed() {
    match &funded().when(buy(1, "100.00")).events()[0].data {
        EventData::OrderRequested(requested) => assert_eq!(requested.calendar, CalendarBasis::Assumed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_purchase_beyond_available_cash_is_refused_with_the_figures() {
    let then = funded().when(buy(1000, "100.05"));
    match &then.events()[0].data {
        EventData::CommandRefused(refused) => {
            assert_eq!(refused.figures["needed"].as_ref(), "100050.00");
            assert_eq!(refused.figures["available"].as_ref(), "100000.00");
        }
        other => panic!("{other:?}"),
    }
    then.then_refused(Rejection::InsufficientCash);
}

#[test]
fn a_request_is_refused_for_the_first_reason_in_order_of_precedence() {
    given().when(buy(0, "0.00")).then_refused(Rejection::UnknownAccount);
    funded().when(buy(0, "0.00")).then_refused(Rejection::QuantityNotPositive);
    funded().when(buy(1, "0.00")).then_refused(Rejection::PriceNotPositive);
    let unknown = Place { instrument: InstrumentId::new("NSE:NOPE").expect("id"), ..buy(1, "100.01") };
    funded().when(unknown).then_refused(Rejection::UnknownInstrument);
    funded().when(buy(5000, "100.01")).then_refused(Rejection::PriceOffTick);
    funded().when(buy(5000, "120.05")).then_refused(Rejection::PriceOutsideBand);
    funded().when(sell(1, "79.95")).then_refused(Rejection::PriceOutsideBand);
    funded().when(buy(5000, "120.00")).then_refused(Rejection::InsufficientCash);
    funded().when(sell(1, "100.00")).then_refused(Rejection::InsufficientShares);
    funded().when(Place { price: None, ..buy(1, "100.00") }).then_refused(Rejection::PriceRequired);
    funded()
        .when(Place { price: Some(price("100.00")), ..order(Side::Buy, 1, None) })
        .then_refused(Rejection::PriceNotAllowed);
    let protected = Place { market_protection: Some(Percent::whole(5)), ..buy(1, "100.00") };
    funded().when(protected).then_refused(Rejection::MarketProtectionNotAllowed);
    let huge = Place { price: Some(Price::from_smallest(i64::MAX)), ..buy(i64::MAX, "1.00") };
    funded().when(huge).then_refused(Rejection::AmountTooLarge);
}

#[test]
fn an_instrument_without_a_tick_takes_no_orders() {
    given()
        .fact(listed("EQ", None, None))
        .and(open())
        .and(deposit("1000.00"))
        .when(buy(1, "1.00"))
        .then_refused(Rejection::InstrumentNotTradable);
}

#[test]
fn a_market_purchase_blocks_at_protection_then_band_then_last_price_and_margin() {
    let blocked = |place: Place, band: Option<i64>| {
        let facts = given().fact(listed("EQ", Some("0.05"), band)).fact(closed("2026-11-20", "100.00"));
        facts.and(open()).and(deposit("5000.00")).and(place).book().cash.blocked
    };
    let market = order(Side::Buy, 10, None);
    assert_eq!(
        blocked(Place { market_protection: Some(Percent::whole(3)), ..market.clone() }, Some(20)),
        rupees("1030.00")
    );
    assert_eq!(blocked(market.clone(), Some(20)), rupees("1200.00"));
    assert_eq!(blocked(market.clone(), None), rupees("1050.00"));
    let unpriced = given().fact(listed("EQ", Some("0.05"), None)).and(open()).and(deposit("5000.00"));
    unpriced.when(market).then_refused(Rejection::NoPrice);
}

#[test]
fn acceptance_opens_and_a_second_one_is_recorded_without_effect() {
    let open = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Accepted));
    assert_eq!(open.book().orders[&3].status, Status::Open);
    let again = open.clone().when(report(3, ReportKind::Accepted)).then_events(&["order_accepted"]);
    assert_eq!(again.book().orders, open.book().orders);
}

#[test]
fn a_rejection_frees_the_block() {
    let rejected = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Rejected));
    assert_eq!(rejected.book().orders[&3].status, Status::Rejected);
    assert_eq!(rejected.book().orders[&3].cancelled(), shares(10));
    assert_eq!(rejected.book().cash.blocked, Money::ZERO);
    assert_eq!(rejected.next_due(), None);
}

#[test]
fn a_partial_fill_and_a_cancellation_add_up_to_the_quantity() {
    let partly = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Accepted)).and(fill(3, "T1", 4, "99.95"));
    assert_eq!(partly.book().orders[&3].status, Status::PartlyFilled);
    assert_eq!(partly.book().cash.blocked, rupees("600.00"));
    let ended = partly.and(cancel(3)).and(report(3, ReportKind::Cancelled));
    let order = &ended.book().orders[&3];
    assert_eq!((order.filled, order.pending(), order.cancelled()), (shares(4), shares(0), shares(6)));
    assert_eq!(ended.book().cash.blocked, Money::ZERO);
}

#[test]
fn while_a_modification_waits_the_larger_block_stays() {
    let asked = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Accepted)).and(change(3, Some(20), None));
    assert_eq!(asked.book().cash.blocked, rupees("2000.00"));
    assert_eq!(asked.book().orders[&3].quantity, shares(10));
    asked.clone().when(change(3, Some(30), None)).then_refused(Rejection::ModificationPending);
    asked.clone().when(cancel(3)).then_refused(Rejection::ModificationPending);
    let granted = asked.clone().and(report(3, ReportKind::Modified));
    assert_eq!((granted.book().orders[&3].quantity, granted.book().cash.blocked), (shares(20), rupees("2000.00")));
    let refused = asked.and(report(3, ReportKind::Rejected));
    assert_eq!((refused.book().orders[&3].quantity, refused.book().cash.blocked), (shares(10), rupees("1000.00")));
    assert_eq!(refused.book().orders[&3].status, Status::Open);
}

#[test]
fn a_fill_overtaking_a_modification_keeps_the_larger_block() {
    let asked = funded()
        .and(buy(10, "100.00"))
        .and(report(3, ReportKind::Accepted))
        .and(change(3, Some(20), None))
        .and(fill(3, "T1", 4, "100.00"));
    assert_eq!(asked.book().cash.blocked, rupees("1600.00"));
    let granted = asked.and(report(3, ReportKind::Modified));
    assert_eq!((granted.book().orders[&3].pending(), granted.book().cash.blocked), (shares(16), rupees("1600.00")));
}

#[test]
fn a_modification_to_what_is_filled_already_completes_the_order() {
    let done = funded()
        .and(buy(10, "100.00"))
        .and(fill(3, "T1", 4, "100.00"))
        .and(change(3, Some(4), None))
        .and(report(3, ReportKind::Modified));
    assert_eq!(done.book().orders[&3].status, Status::Filled);
    assert_eq!(done.book().cash.blocked, Money::ZERO);
}

#[test]
fn a_modification_is_refused_below_what_is_filled_without_change_and_after_the_end() {
    let partly = funded().and(buy(10, "100.00")).and(fill(3, "T1", 4, "100.00"));
    partly.clone().when(change(3, Some(3), None)).then_refused(Rejection::QuantityBelowFilled);
    partly.clone().when(change(3, Some(10), Some("100.00"))).then_refused(Rejection::NothingToModify);
    partly.clone().when(change(3, None, Some("100.01"))).then_refused(Rejection::PriceOffTick);
    partly.clone().when(change(9, Some(3), None)).then_refused(Rejection::UnknownOrder);
    let ended = partly.and(report(3, ReportKind::Cancelled));
    ended.clone().when(change(3, Some(20), None)).then_refused(Rejection::OrderClosed);
    ended.when(cancel(3)).then_refused(Rejection::OrderClosed);
}

#[test]
fn the_twenty_sixth_modification_is_refused() {
    let mut book = funded().and(buy(10, "100.00")).and(report(3, ReportKind::Accepted));
    for number in 1..=25 {
        book = book.and(change(3, Some(10 + number), None)).and(report(3, ReportKind::Modified));
    }
    book.when(change(3, Some(50), None)).then_refused(Rejection::TooManyModifications);
}

#[test]
fn a_day_order_expires_when_its_session_ends_and_not_before() {
    let placed = funded().and(buy(10, "100.00"));
    assert_eq!(placed.next_due(), Some(time("2026-11-23T15:30:00+05:30")));
    assert!(placed.clone().at("2026-11-23T15:29:59+05:30").due().is_empty());
    placed.clone().when(Expire { order_id: order_id(3) }).then_refused(Rejection::NotDue);
    let late = placed.at("2026-11-23T15:30:00+05:30");
    assert_eq!(late.due()[0].0.as_str(), "expire/ACC1-3");
    let expired = late.and_all_due();
    assert_eq!(expired.book().orders[&3].status, Status::Expired);
    assert_eq!(expired.book().cash.blocked, Money::ZERO);
    assert!(expired.due().is_empty());
}

#[test]
fn a_series_that_delivers_gross_sells_settled_shares_only() {
    let bought = given()
        .fact(listed("BE", Some("0.05"), None))
        .fact(closed("2026-11-20", "100.00"))
        .and(open())
        .and(deposit("5000.00"))
        .and(buy(10, "100.00"))
        .and(fill(3, "T1", 10, "100.00"));
    bought.clone().when(sell(1, "100.00")).then_refused(Rejection::InsufficientShares);
    bought.at("2026-11-25T10:00:00+05:30").and_all_due().when(sell(10, "100.00")).then_events(&["order_requested"]);
}

#[test]
fn two_sales_cannot_use_the_same_shares() {
    let once = holding().and(sell(6, "100.00"));
    once.clone().when(sell(5, "100.00")).then_refused(Rejection::InsufficientShares);
    once.when(sell(4, "100.00")).then_events(&["order_requested"]);
}

#[test]
fn a_report_for_an_unknown_order_or_account_is_recorded_without_effect() {
    funded().when(report(99, ReportKind::Cancelled)).then_events(&["order_cancelled"]);
    let unopened = given().when(report(1, ReportKind::Accepted)).then_events(&["order_accepted"]);
    assert!(!unopened.book().opened);
}

#[test]
fn a_change_that_waits_when_its_order_is_refused_is_refused_with_it_and_that_is_on_record() {
    let told = |given: &domain::testing::Given| {
        let then = given.clone().when(report(3, ReportKind::Rejected));
        let of = |event: &domain::event::Event| match &event.data {
            EventData::OrderRejected(e) => (e.refused, e.cancelled.shares(), e.blocked, e.applied),
            other => panic!("{other:?}"),
        };
        let events: Vec<_> = then.events().iter().map(of).collect();
        (events, then.then_accepted())
    };
    let requested = funded().and(buy(10, "100.00"));
    let ended = (Refused::Order, 10, None, true);
    let (events, rejected) = told(&requested.clone().and(change(3, Some(20), None)));
    assert_eq!(events, [(Refused::Modification, 0, Some(rupees("1000.00")), true), ended]);
    let order = &rejected.book().orders[&3];
    assert_eq!((order.status, order.waiting, order.cancelled()), (Status::Rejected, None, shares(10)));
    assert_eq!(rejected.book().cash.blocked, Money::ZERO);
    let (events, rejected) = told(&requested.clone().and(cancel(3)));
    assert_eq!(events, [(Refused::Cancellation, 0, Some(rupees("1000.00")), true), ended]);
    assert_eq!((rejected.book().orders[&3].waiting, rejected.book().cash.blocked), (None, Money::ZERO));
    // The venue's word on the change itself comes too late to matter, and is on record.
    assert_eq!(told(&rejected).0, [(Refused::Order, 0, None, false)]);
    // Once it stands, what is refused is the change alone.
    let (events, stands) = told(&requested.and(report(3, ReportKind::Accepted)).and(change(3, Some(20), None)));
    assert_eq!(events, [(Refused::Modification, 0, Some(rupees("1000.00")), true)]);
    assert_eq!(stands.book().orders[&3].status, Status::Open);
    // A sale blocks shares.
    let sale = holding().and(sell(10, "100.00")).and(change(4, Some(5), None)).and(report(4, ReportKind::Rejected));
    assert_eq!(sale.book().positions[&instrument()].blocked, shares(0));
}
