//! Fund purchases and redemptions, and imported history.
mod support;

use domain::{
    event::EventData,
    fund::{Answer, Mismatch, Status},
    history::{ImportTrade, Kind},
    ids::{Folio, TradeId},
    money::{Money, Units},
    rejection::Rejection,
    testing::{Given, Then},
};
use support::*;

fn with_scheme() -> Given {
    funded().fact(known_scheme()).fact(nav_of("2026-11-20", "40.0000"))
}
fn with_units() -> Given {
    with_scheme().and(imported_units(Kind::Purchase, "100.000", Some("3500.00")))
}
fn mismatch_of(event: &EventData) -> Vec<Mismatch> {
    match event {
        EventData::FundUnitsAllotted(allotted) => allotted.mismatch.clone(),
        EventData::FundUnitsRedeemed(redeemed) => redeemed.mismatch.clone(),
        other => panic!("{other:?}"),
    }
}

fn figures(then: &Then) -> Vec<(String, String)> {
    match &then.events()[0].data {
        EventData::CommandRefused(refused) => {
            refused.figures.iter().map(|(name, figure)| (name.to_string(), figure.to_string())).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_purchase_blocks_then_debits_then_brings_units() {
    let asked = with_scheme().and(purchase("5000.00"));
    assert_eq!((asked.book().cash.blocked, asked.book().cash.settled), (rupees("5000.00"), rupees("100000.00")));
    assert_eq!(asked.due()[0].0.as_str(), "send/ACC1-3");
    let sent = asked.and_all_due();
    assert_eq!((sent.book().cash.blocked, sent.book().cash.settled), (Money::ZERO, rupees("95000.00")));
    let allotted = sent
        .when(allotment(3, "40.0000", "124.993", Some("0.25"), None))
        .then_events(&["fund_units_allotted", "folio_changed"]);
    assert_eq!(allotted.book().folios[&(scheme(), folio())].units, units("124.993"));
    assert_eq!(allotted.book().fund_orders[&3].status, Status::Allotted);
}

#[test]
fn a_rejection_before_sending_unblocks_and_after_it_refunds() {
    let asked = with_scheme().and(purchase("5000.00"));
    let before = asked.clone().when(fund_rejection(3)).then_events(&["fund_order_rejected"]);
    assert_eq!(before.book().cash.available(), rupees("100000.00"));
    assert!(before.due().is_empty());
    let after = asked.and_all_due().when(fund_rejection(3)).then_events(&["fund_order_rejected", "cash_posted"]);
    assert_eq!((after.book().cash.settled, after.book().cash.blocked), (rupees("100000.00"), Money::ZERO));
}

#[test]
fn an_allotment_is_recorded_as_reported_and_says_what_does_not_fit() {
    let sent = with_scheme().and(purchase("5000.00")).and_all_due();
    let flagged = |nav: &str, units: &str, duty| {
        mismatch_of(&sent.clone().when(allotment(3, nav, units, duty, None)).events()[0].data)
    };
    assert_eq!(flagged("40.0000", "124.994", Some("0.25")), vec![]);
    assert_eq!(flagged("40.0000", "124.9948", Some("0.25")), vec![Mismatch::Units]);
    assert_eq!(flagged("41.0000", "121.951", None), vec![Mismatch::Nav]);
}

#[test]
fn an_answer_that_fits_no_fund_order_is_recorded_without_effect() {
    let before = with_scheme();
    let after = before.clone().when(allotment(9, "40.0000", "1.000", None, None)).then_events(&["fund_units_allotted"]);
    assert_eq!(after.book().folios, before.book().folios);
    let done = with_scheme().and(purchase("5000.00")).and_all_due().and(allotment(3, "40.0000", "125.000", None, None));
    let twice = done.clone().when(allotment(3, "40.0000", "125.000", None, None)).then_events(&["fund_units_allotted"]);
    assert_eq!(twice.book().folios, done.book().folios);
}

#[test]
fn a_redemption_blocks_units_and_pays_on_its_day() {
    let asked = with_units().and(redemption(Some("60.000"), None, None));
    asked.clone().when(redemption(Some("40.001"), None, None)).then_refused(Rejection::InsufficientUnits);
    let sent = asked.and_all_due();
    assert_eq!(sent.book().cash.settled, rupees("100000.00"));
    sent.clone().when(allotment(4, "40.0000", "60.000", None, None)).then_refused(Rejection::PayoutRequired);
    let redeemed = sent.when(allotment(4, "40.0000", "60.000", None, Some(("2400.00", "2026-11-25"))));
    let redeemed = redeemed.then_events(&["fund_units_redeemed", "folio_changed", "cash_posted"]);
    let holding = redeemed.book().folios[&(scheme(), folio())];
    assert_eq!((holding.units, holding.blocked), (units("40.000"), Units::ZERO));
    assert_eq!(
        (redeemed.book().cash.receivable(), redeemed.book().cash.available()),
        (rupees("2400.00"), rupees("100000.00"))
    );
    assert_eq!(redeemed.at("2026-11-25T15:30:00+05:30").and_all_due().book().cash.settled, rupees("102400.00"));
}

#[test]
fn a_redemption_that_the_registrar_answers_for_another_folio_says_so() {
    let sent = with_units().and(redemption(Some("60.000"), None, None)).and_all_due();
    let answer = |folio| {
        let mut report = allotment(4, "40.0000", "60.000", None, Some(("2400.00", "2026-11-25")));
        if let Answer::Allotted(allotment) = &mut report.answer {
            allotment.folio = folio;
        }
        sent.clone().when(report)
    };
    assert_eq!(mismatch_of(&answer(folio()).events()[0].data), vec![]);
    let other = answer(Folio::new("AU-2").expect("folio"));
    assert_eq!(mismatch_of(&other.events()[0].data), vec![Mismatch::Folio]);
    assert_eq!(other.then_accepted().book().folios[&(scheme(), folio())].units, units("40.000"));
}

#[test]
fn a_redemption_asks_for_units_an_amount_or_all() {
    let blocked = |asked| with_units().and(asked).book().folios[&(scheme(), folio())].blocked;
    assert_eq!(blocked(redemption(None, None, Some(true))), units("100.000"));
    // 1000.00 and 5% at 40.0000 a unit.
    assert_eq!(blocked(redemption(None, Some("1000.00"), None)), units("26.250"));
    with_units().when(redemption(Some("1.000"), Some("1.00"), None)).then_refused(Rejection::RedeemOneOf);
    with_units().when(redemption(None, None, Some(false))).then_refused(Rejection::RedeemOneOf);
    with_units().when(redemption(None, Some("4000.01"), None)).then_refused(Rejection::InsufficientUnits);
    with_scheme().when(redemption(Some("1.000"), None, None)).then_refused(Rejection::UnknownFolio);
}

#[test]
fn a_rejected_redemption_frees_its_units() {
    let back = with_units().and(redemption(None, None, Some(true))).and_all_due().and(fund_rejection(4));
    assert_eq!(back.book().folios[&(scheme(), folio())].blocked, Units::ZERO);
}

#[test]
fn an_imported_purchase_leaves_cash_alone_and_posts_both_sides() {
    let book = funded().when(imported(Kind::Purchase, 10, Some("90.00"), "2025-01-15"));
    let book = book.then_events(&["trade_imported", "position_changed", "cash_posted", "cash_posted"]);
    assert_eq!(book.book().cash.settled, rupees("100000.00"));
    assert_eq!(book.book().positions[&instrument()].shares.settled, shares(10));
}

#[test]
fn an_imported_sale_beyond_the_holding_is_recorded_and_flagged() {
    let then = holding().when(imported(Kind::Sale, 11, None, "2025-02-15"));
    match &then.events()[0].data {
        EventData::TradeImported(imported) => assert!(imported.beyond_holding),
        other => panic!("{other:?}"),
    }
    assert_eq!(then.then_accepted().book().positions[&instrument()].shares.settled, shares(-1));
}

#[test]
fn an_imported_trade_is_known_by_its_number() {
    let numbered = |quantity| ImportTrade {
        trade_id: Some(TradeId::new("77").expect("id")),
        ..imported(Kind::Purchase, quantity, None, "2025-01-15")
    };
    let once = funded().and(numbered(5));
    once.clone().when(numbered(5)).then_known();
    once.when(numbered(6)).then_refused(Rejection::FillContradicted);
}

#[test]
fn requests_to_an_account_that_is_not_open_are_refused() {
    let unopened = domain::testing::given().fact(known_scheme());
    unopened.clone().when(purchase("1.00")).then_refused(Rejection::UnknownAccount);
    unopened.clone().when(imported(Kind::Purchase, 1, None, "2025-01-15")).then_refused(Rejection::UnknownAccount);
    unopened.when(deposit("1.00")).then_refused(Rejection::UnknownAccount);
    funded().when(open()).then_refused(Rejection::AccountExists);
    funded().when(deposit("0.00")).then_refused(Rejection::AmountNotPositive);
    funded().when(withdraw("100000.01")).then_refused(Rejection::InsufficientCash);
    funded().when(purchase("1.00")).then_refused(Rejection::UnknownScheme);
}

#[test]
fn each_folio_of_a_scheme_has_its_own_units() {
    let other = Folio::new("AU-2").expect("folio");
    let in_other = domain::history::ImportUnits { folio: other, ..imported_units(Kind::Purchase, "7.000", None) };
    let two = with_units().and(in_other).and(redemption(Some("100.000"), None, None));
    let of = |given: &Given, folio| given.book().folios[&(scheme(), folio)];
    assert_eq!((of(&two, folio()).blocked, of(&two, other).blocked), (units("100.000"), Units::ZERO));
    let more = domain::fund::Redemption { folio: other, ..redemption(Some("7.001"), None, None) };
    two.clone().when(more).then_refused(Rejection::InsufficientUnits);
    let all = domain::fund::Redemption { folio: other, ..redemption(None, None, Some(true)) };
    assert_eq!(of(&two.and(all), other).blocked, units("7.000"));
    let into = domain::fund::Purchase { folio: Some(other), ..purchase("50.00") };
    with_units().when(into).then_refused(Rejection::UnknownFolio);
}

#[test]
fn a_redemption_of_more_than_is_held_says_what_is_held_and_by_how_much_it_is_short() {
    let asked = with_units().and(redemption(Some("60.000"), None, None));
    let then = asked.when(redemption(Some("40.001"), None, None));
    let figures = figures(&then);
    let expected = [("blocked", "60.000"), ("held", "100.000"), ("needed", "40.001"), ("short", "0.001")];
    assert_eq!(figures, expected.map(|(name, figure)| (name.to_owned(), figure.to_owned())));
}

#[test]
fn no_unit_is_older_than_the_purchase_that_asked_for_it() {
    // The NAV of 2026-11-20, as for a liquid scheme, for a purchase asked for later.
    let sent = with_scheme().at("2026-11-23T10:00:00+05:30").and(purchase("5000.00")).and_all_due();
    let later = sent.at("2026-11-24T09:00:00+05:30").when(allotment(3, "40.0000", "124.993", Some("0.25"), None));
    assert!(later.events().iter().all(|event| event.effective_at == time("2026-11-23T10:00:00+05:30")));
}

#[test]
fn a_nav_that_comes_days_late_allots_at_that_days_nav_and_is_effective_then() {
    let sent = with_scheme().at("2026-11-20T10:00:00+05:30").and(purchase("5000.00")).and_all_due();
    let later = sent.at("2026-11-26T09:00:00+05:30").when(allotment(3, "40.0000", "124.993", Some("0.25"), None));
    assert!(later.events().iter().all(|event| event.effective_at == date("2026-11-21").start()));
    assert_eq!(later.then_accepted().book().folios[&(scheme(), folio())].units, units("124.993"));
}
