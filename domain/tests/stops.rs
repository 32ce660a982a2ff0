//! Stop loss orders: triggers, their rules, and their life up to the trigger and after it.
mod support;

use domain::{
    event::EventData,
    money::{Money, Percent, Quantity},
    order::{Modify, OrderType, Place, ReportKind, Side, Status, Validity},
    rejection::Rejection,
    testing::{Given, given},
};
use support::*;

fn status(given: &Given, seq: u64) -> Status {
    given.book().orders[&seq].status
}

#[test]
fn a_stop_loss_waits_for_its_trigger_and_then_stands_as_a_limit_order() {
    let placed = funded().and(stop(Side::Buy, 10, "105.00", Some("106.00")));
    assert_eq!(status(&placed, 3), Status::Requested);
    assert_eq!(placed.book().cash.blocked, rupees("1060.00"));
    let accepted = placed.and(report(3, ReportKind::Accepted));
    assert_eq!(status(&accepted, 3), Status::TriggerPending);
    let triggered = accepted.and(report(3, ReportKind::Triggered));
    assert_eq!(status(&triggered, 3), Status::Open);
    let filled = triggered.and(fill(3, "T1", 10, "105.50"));
    assert_eq!(status(&filled, 3), Status::Filled);
    assert_eq!(filled.book().cash.blocked, Money::ZERO);
}

#[test]
fn a_stop_loss_at_market_blocks_at_the_upper_band_or_from_its_trigger_on() {
    let placed = funded().and(stop(Side::Buy, 10, "105.00", None));
    assert_eq!(placed.book().cash.blocked, rupees("1200.00"));
    let protected = Place { market_protection: Some(Percent::whole(2)), ..stop(Side::Buy, 10, "105.00", None) };
    // 105.00 and two percent of it.
    assert_eq!(funded().and(protected).book().cash.blocked, rupees("1071.00"));
    let unbanded = given().fact(listed("EQ", Some("0.05"), None)).fact(closed("2026-11-20", "100.00"));
    let unbanded = unbanded.and(open()).and(deposit("100000.00")).and(stop(Side::Buy, 10, "105.00", None));
    assert_eq!(unbanded.book().cash.blocked, rupees("1102.50"));
}

#[test]
fn a_stop_loss_at_market_without_any_price_is_refused() {
    let bare = given().fact(listed("EQ", Some("0.05"), None)).and(open()).and(deposit("1000.00"));
    bare.when(stop(Side::Buy, 1, "105.00", None)).then_refused(Rejection::NoPrice);
}

#[test]
fn a_trigger_is_needed_by_stop_losses_and_by_no_other() {
    let without = Place { trigger_price: None, ..stop(Side::Buy, 1, "105.00", None) };
    funded().when(without).then_refused(Rejection::TriggerPriceRequired);
    let with = Place { trigger_price: Some(price("105.00")), ..buy(1, "100.00") };
    funded().when(with).then_refused(Rejection::TriggerPriceNotAllowed);
    let limitless = Place { price: None, ..stop(Side::Buy, 1, "105.00", Some("106.00")) };
    funded().when(limitless).then_refused(Rejection::PriceRequired);
    let limited = Place { price: Some(price("106.00")), ..stop(Side::Buy, 1, "105.00", None) };
    funded().when(limited).then_refused(Rejection::PriceNotAllowed);
}

#[test]
fn a_trigger_beyond_its_limit_is_refused() {
    funded().when(stop(Side::Buy, 1, "106.00", Some("105.00"))).then_refused(Rejection::TriggerBeyondPrice);
    holding().when(stop(Side::Sell, 1, "94.00", Some("95.00"))).then_refused(Rejection::TriggerBeyondPrice);
    holding().when(stop(Side::Sell, 1, "95.00", Some("95.00"))).then_accepted();
}

#[test]
fn a_trigger_that_the_market_has_passed_is_refused() {
    for trigger in ["99.00", "100.00"] {
        funded().when(stop(Side::Buy, 1, trigger, None)).then_refused(Rejection::TriggerWrongSide);
    }
    for trigger in ["101.00", "100.00"] {
        holding().when(stop(Side::Sell, 1, trigger, None)).then_refused(Rejection::TriggerWrongSide);
    }
    let moved = funded().fact(last("104.00", "2026-11-23T10:00:00+05:30"));
    moved.when(stop(Side::Buy, 1, "103.00", None)).then_refused(Rejection::TriggerWrongSide);
}

#[test]
fn a_trigger_is_on_tick_and_within_the_band() {
    funded().when(stop(Side::Buy, 1, "105.01", None)).then_refused(Rejection::PriceOffTick);
    funded().when(stop(Side::Buy, 1, "120.05", None)).then_refused(Rejection::PriceOutsideBand);
    funded().when(stop(Side::Buy, 1, "-105.00", None)).then_refused(Rejection::PriceNotPositive);
}

#[test]
fn a_trigger_report_before_the_acceptance_counts_and_the_late_acceptance_changes_nothing() {
    let triggered = funded().and(stop(Side::Buy, 10, "105.00", None)).and(report(3, ReportKind::Triggered));
    assert_eq!(status(&triggered, 3), Status::Open);
    let accepted = triggered.when(report(3, ReportKind::Accepted));
    match &accepted.events()[0].data {
        EventData::OrderAccepted(accepted) => assert!(!accepted.applied),
        other => panic!("{other:?}"),
    }
    assert_eq!(status(&accepted.then_accepted(), 3), Status::Open);
}

#[test]
fn a_second_trigger_report_and_one_of_a_plain_order_are_recorded_without_effect() {
    let triggered = funded().and(stop(Side::Buy, 10, "105.00", None)).and(report(3, ReportKind::Triggered));
    for (given, seq) in [(triggered, 3), (funded().and(buy(1, "100.00")), 3)] {
        let before = given.book().orders[&seq].clone();
        let again = given.when(report(seq, ReportKind::Triggered));
        match &again.events()[0].data {
            EventData::OrderTriggered(triggered) => assert!(!triggered.applied),
            other => panic!("{other:?}"),
        }
        assert_eq!(again.then_accepted().book().orders[&seq], before);
    }
}

#[test]
fn a_fill_whose_trigger_report_was_lost_counts() {
    let filled = funded().and(stop(Side::Buy, 10, "105.00", None)).and(fill(3, "T1", 4, "105.00"));
    assert_eq!(status(&filled, 3), Status::PartlyFilled);
    assert!(filled.book().orders[&3].triggered);
}

#[test]
fn a_trigger_price_may_be_changed_until_it_is_triggered() {
    let trigger = |value: &str| Modify { trigger_price: Some(price(value)), ..change(3, None, None) };
    let waiting = funded().and(stop(Side::Buy, 10, "105.00", Some("106.00"))).and(report(3, ReportKind::Accepted));
    waiting.clone().when(trigger("107.00")).then_refused(Rejection::TriggerBeyondPrice);
    waiting.clone().when(trigger("99.00")).then_refused(Rejection::TriggerWrongSide);
    let changed = waiting.clone().and(trigger("104.00")).and(report(3, ReportKind::Modified));
    let order = &changed.book().orders[&3];
    assert_eq!((order.trigger_price, order.status), (Some(price("104.00")), Status::TriggerPending));
    let triggered = waiting.and(report(3, ReportKind::Triggered));
    triggered.clone().when(trigger("104.00")).then_refused(Rejection::OrderTriggered);
    // Its limit may still be: it stands as a limit order now.
    let limit = triggered.and(change(3, None, Some("107.00"))).and(report(3, ReportKind::Modified));
    assert_eq!((limit.book().orders[&3].price, status(&limit, 3)), (Some(price("107.00")), Status::Open));
}

#[test]
fn once_triggered_its_limit_goes_where_it_likes_and_its_trigger_nowhere() {
    let triggered = funded().and(stop(Side::Buy, 10, "105.00", Some("106.00"))).and(report(3, ReportKind::Triggered));
    let below = triggered.clone().and(change(3, None, Some("104.00"))).and(report(3, ReportKind::Modified));
    assert_eq!((below.book().orders[&3].price, status(&below, 3)), (Some(price("104.00")), Status::Open));
    // Said first, whatever else is wrong with it.
    for wrong in ["105.01", "107.00", "130.00"] {
        let trigger = Modify { trigger_price: Some(price(wrong)), ..change(3, None, None) };
        triggered.clone().when(trigger).then_refused(Rejection::OrderTriggered);
    }
}

#[test]
fn a_limit_order_may_become_a_stop_loss_and_waits_again() {
    let open = funded().and(buy(10, "99.00")).and(report(3, ReportKind::Accepted));
    let wanted = Modify {
        order_type: Some(OrderType::Sl),
        trigger_price: Some(price("105.00")),
        ..change(3, None, Some("106.00"))
    };
    let asked = open.and(wanted);
    assert_eq!((status(&asked, 3), asked.book().cash.blocked), (Status::Open, rupees("1060.00")));
    let changed = asked.and(report(3, ReportKind::Modified));
    assert_eq!(status(&changed, 3), Status::TriggerPending);
}

#[test]
fn whatever_becomes_a_stop_loss_waits_for_its_trigger() {
    let stop_loss = Modify {
        order_type: Some(OrderType::Sl),
        trigger_price: Some(price("105.00")),
        ..change(3, None, Some("106.00"))
    };
    let part = funded().and(buy(10, "99.00")).and(fill(3, "T1", 4, "99.00")).and(stop_loss.clone());
    let part = part.and(report(3, ReportKind::Modified));
    assert_eq!(status(&part, 3), Status::TriggerPending);
    assert_eq!(status(&part.and(report(3, ReportKind::Triggered)), 3), Status::PartlyFilled);
    // Triggered, a limit order meanwhile, and a stop loss again.
    let triggered = funded().and(stop(Side::Buy, 10, "105.00", Some("106.00"))).and(report(3, ReportKind::Triggered));
    let limit = Modify { order_type: Some(OrderType::Limit), ..change(3, None, None) };
    let limit = triggered.and(limit).and(report(3, ReportKind::Modified));
    assert_eq!(status(&limit, 3), Status::Open);
    assert_eq!(status(&limit.and(stop_loss).and(report(3, ReportKind::Modified)), 3), Status::TriggerPending);
}

#[test]
fn a_stop_loss_that_was_never_triggered_expires_with_its_session() {
    let waiting = funded().and(stop(Side::Buy, 10, "105.00", None)).and(report(3, ReportKind::Accepted));
    let over = waiting.at("2026-11-23T15:30:00+05:30").and_all_due();
    assert_eq!((status(&over, 3), over.book().cash.blocked), (Status::Expired, Money::ZERO));
}

#[test]
fn a_stop_loss_sale_blocks_the_shares() {
    let placed = holding().and(stop(Side::Sell, 7, "95.00", Some("94.00")));
    assert_eq!(placed.book().positions[&instrument()].blocked, shares(7));
    assert_eq!(placed.book().cash.blocked, Money::ZERO);
    placed.when(sell(4, "100.00")).then_refused(Rejection::InsufficientShares);
}

#[test]
fn a_tenth_at_least_is_disclosed_and_nothing_of_an_immediate_order() {
    let disclosing = |disclosed| Place { disclosed_quantity: Some(Quantity::new(disclosed)), ..buy(101, "100.00") };
    funded().when(disclosing(10)).then_refused(Rejection::DisclosedQuantityNotAllowed);
    funded().when(disclosing(102)).then_refused(Rejection::DisclosedQuantityNotAllowed);
    funded().when(disclosing(11)).then_accepted();
    let immediate = Place { validity: Validity::Ioc, ..disclosing(50) };
    funded().when(immediate).then_refused(Rejection::DisclosedQuantityNotAllowed);
}

#[test]
fn a_change_keeps_to_what_may_be_disclosed() {
    let disclosing = Place { disclosed_quantity: Some(Quantity::new(11)), ..buy(101, "100.00") };
    let standing = funded().and(disclosing).and(report(3, ReportKind::Accepted));
    for quantity in [10, 111] {
        let changed = change(3, Some(quantity), None);
        standing.clone().when(changed).then_refused(Rejection::DisclosedQuantityNotAllowed);
    }
    let immediate = Modify { validity: Some(Validity::Ioc), ..change(3, None, None) };
    standing.clone().when(immediate).then_refused(Rejection::DisclosedQuantityNotAllowed);
    standing.when(change(3, Some(110), None)).then_accepted();
}
