//! What is odd about a fact is said with it: facts are recorded and count all the same.
mod support;

use domain::{
    event::EventData,
    fund::Mismatch,
    history::Kind,
    order::{Assign, Flag, OrderType, Report, ReportKind, Status},
    testing::{Given, Then},
};
use support::*;

/// When order 3 is asked for, and everything else is told.
const NOW: &str = "2026-11-23T10:00:00+05:30";

fn asked() -> Given {
    funded().at(NOW).and(buy(10, "100.00"))
}
fn flag(then: &Then) -> Option<Flag> {
    match &then.events()[0].data {
        EventData::OrderFilled(e) => e.flag,
        EventData::FillAssigned(e) => e.fill.flag,
        EventData::FillUnmatched(e) => e.flag,
        EventData::TradeCancelled(e) => e.flag,
        EventData::OrderAccepted(e) => e.flag,
        EventData::OrderRejected(e) => e.flag,
        EventData::OrderTriggered(e) => e.flag,
        EventData::OrderModified(e) => e.flag,
        EventData::OrderCancelled(e) => e.flag,
        EventData::OrderExpired(e) => e.flag,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trade_of_a_time_that_cannot_be_is_flagged_and_counts() {
    for (at, odd) in [
        ("2026-11-23T09:58:59.999999+05:30", Some(Flag::BeforeRequest)),
        ("2026-11-23T09:59:00+05:30", None),
        ("2026-11-23T10:01:00+05:30", None),
        ("2026-11-23T10:01:00.000001+05:30", Some(Flag::InFuture)),
        ("2027-11-23T10:00:00+05:30", Some(Flag::InFuture)),
    ] {
        let then = asked().when(fill_at(3, "T1", 10, "100.00", at));
        assert_eq!(flag(&then), odd, "{at}");
        assert_eq!(then.then_accepted().book().orders[&3].status, Status::Filled);
        // One that waits is flagged by what is known: of an order that is not there, the future alone.
        let waits = asked().when(fill_at(77, "T1", 10, "100.00", at));
        assert_eq!(flag(&waits), odd.filter(|odd| *odd == Flag::InFuture), "{at}");
        assert_eq!(flag(&waits.then_accepted().when(Assign { seq: 4, order_id: order_id(3) })), odd, "{at}");
    }
    // Told late it is in no future any more; outside the band it is, whenever it was.
    let late = asked().at("2026-11-23T11:00:00+05:30");
    assert_eq!(flag(&late.clone().when(fill_at(3, "T1", 1, "100.00", "2026-11-23T10:30:00+05:30"))), None);
    assert_eq!(flag(&late.when(fill_at(3, "T1", 1, "130.00", "2026-11-23T09:30:00+05:30"))), Some(Flag::OutsideBand));
}

#[test]
fn a_report_of_a_time_that_cannot_be_is_flagged_and_counts() {
    let kinds = [
        ReportKind::Accepted,
        ReportKind::Rejected,
        ReportKind::Triggered,
        ReportKind::Modified,
        ReportKind::Cancelled,
        ReportKind::Expired,
    ];
    for kind in kinds {
        let told = |seq, at| Report { at: time(at), ..report(seq, kind) };
        assert_eq!(flag(&asked().when(told(3, NOW))), None);
        assert_eq!(flag(&asked().when(told(3, "2026-11-23T10:05:00+05:30"))), Some(Flag::InFuture));
        assert_eq!(flag(&asked().when(told(3, "2026-11-22T10:00:00+05:30"))), Some(Flag::BeforeRequest));
        assert_eq!(flag(&asked().when(told(77, NOW))), Some(Flag::UnknownOrder));
    }
    let early = Report { at: time("2026-11-22T10:00:00+05:30"), ..report(3, ReportKind::Accepted) };
    assert_eq!(asked().and(early).book().orders[&3].status, Status::Open);
}

#[test]
fn a_cancellation_of_a_trade_in_the_future_is_flagged_and_counts() {
    let filled = asked().and(fill_at(3, "T1", 10, "100.00", NOW));
    let then = filled.clone().when(cancel_trade(3, "T1", "2026-11-23", "2026-11-24T10:00:00+05:30"));
    assert_eq!(flag(&then), Some(Flag::InFuture));
    assert_eq!(then.then_accepted().book().orders[&3].filled, shares(0));
    assert_eq!(flag(&filled.when(cancel_trade(3, "T1", "2026-11-23", NOW))), None);
}

#[test]
fn history_of_the_future_is_flagged_and_counts() {
    let row = |day| imported(Kind::Purchase, 10, Some("90.00"), day);
    let flag_of = |day| match &funded().at(NOW).when(row(day)).events()[0].data {
        EventData::TradeImported(e) => e.flag,
        other => panic!("{other:?}"),
    };
    assert_eq!((flag_of("2026-11-23"), flag_of("2026-11-24")), (None, Some(Flag::InFuture)));
    let held = funded().at(NOW).and(row("2026-11-24"));
    assert_eq!(held.book().positions[&instrument()].shares.settled, shares(10));
    let units = domain::history::ImportUnits {
        executed_at: date("2026-11-24").start(),
        ..imported_units(Kind::Purchase, "1.000", None)
    };
    match &funded().at(NOW).when(units).events()[0].data {
        EventData::UnitsImported(e) => assert_eq!(e.flag, Some(Flag::InFuture)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_that_was_told_of_an_order_that_is_over_names_the_terms_it_ended_with() {
    let over = asked().and(report(3, ReportKind::Cancelled));
    match &over.when(report(3, ReportKind::Modified)).events()[0].data {
        EventData::OrderModified(e) => {
            assert_eq!((e.quantity, e.price, e.order_type), (shares(10), Some(price("100.00")), OrderType::Limit));
            assert_eq!((e.applied, e.flag), (false, None));
        }
        other => panic!("{other:?}"),
    }
    let unknown = Report { quantity: Some(shares(5)), price: Some(price("9.00")), ..report(77, ReportKind::Modified) };
    let before = asked();
    let then = before.clone().when(unknown);
    assert_eq!(flag(&then), Some(Flag::UnknownOrder));
    assert_eq!(then.then_accepted().book().orders, before.book().orders);
}

#[test]
fn a_redemption_says_when_what_it_pays_is_not_its_units_at_the_nav() {
    let scheme = funded().fact(known_scheme()).fact(nav_of("2026-11-20", "40.0000"));
    let held = scheme.and(imported_units(Kind::Purchase, "100.000", Some("3500.00")));
    let sent = held.and(redemption(Some("50.000"), None, None)).and_all_due();
    let seq = *sent.book().fund_orders.keys().next().expect("it was asked for");
    let mismatch = |amount: &str| {
        let told = allotment(seq, "40.0000", "50.000", None, Some((amount, "2026-11-25")));
        let then = sent.clone().when(told);
        match &then.events()[0].data {
            EventData::FundUnitsRedeemed(redeemed) => {
                assert_eq!(redeemed.amount, rupees(amount), "recorded as reported");
                redeemed.mismatch.clone()
            }
            other => panic!("{other:?}"),
        }
    };
    // 0.001 units are worth 0.04.
    for amount in ["1999.96", "2000.00", "2000.04"] {
        assert_eq!(mismatch(amount), vec![]);
    }
    for amount in ["1999.95", "2000.05", "1980.00", "20000.00"] {
        assert_eq!(mismatch(amount), vec![Mismatch::Units]);
    }
}
