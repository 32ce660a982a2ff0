//! Which day's NAV a fund order gets, by category, cut-off and calendar, and when a redemption pays.

use domain::{
    applicable_nav::{Class, Rules, Way},
    calendar::{Calendar, CalendarMode, Day},
    ids::Exchange,
    policy::Policy,
    time::{Date, Timestamp},
};

/// Tuesday 2026-11-24 is a holiday; Sunday 2026-11-08 a session on which no bank settles.
fn calendar() -> Calendar {
    let mut calendar = Calendar::default();
    let nse = Exchange::new("NSE").expect("a valid test value");
    let day = |text: &str| Date::parse(text).expect("a valid test value");
    calendar.record(nse, day("2026-11-24"), Day::Holiday { settlement: false });
    let time = |text: &str| domain::time::TimeOfDay::parse(text).expect("a valid test value");
    let muhurat = Day::Session { open: time("18:00"), close: time("19:00"), settlement: false };
    calendar.record(nse, day("2026-11-08"), muhurat);
    calendar
}

fn in_mode(mode: CalendarMode, received: &str, way: Way, class: Class) -> String {
    let (policy, calendar) = (Policy::default(), calendar());
    let rules = Rules { policy: &policy, calendar: &calendar, mode };
    let received = Timestamp::parse(&format!("{received}:00+05:30")).expect("a valid test value");
    rules.nav_date(received, way, class).expect("a valid test value").to_string()
}
fn bought(class: Class, received: &str) -> String {
    in_mode(CalendarMode::Exchange, received, Way::Purchase, class)
}
fn redeemed(class: Class, received: &str) -> String {
    in_mode(CalendarMode::Exchange, received, Way::Redemption, class)
}

#[test]
fn most_schemes_give_the_nav_of_the_business_day_whose_cut_off_came_after() {
    for (received, expected) in [
        ("2026-11-20T14:59", "2026-11-20"),
        // At 15:00 sharp the cut-off has come: Monday.
        ("2026-11-20T15:00", "2026-11-23"),
        ("2026-11-21T10:00", "2026-11-23"),
        // Over Tuesday's holiday.
        ("2026-11-23T15:00", "2026-11-25"),
        ("2026-11-24T10:00", "2026-11-25"),
        // A Sunday session without banks is no business day.
        ("2026-11-08T10:00", "2026-11-09"),
    ] {
        for class in [Class::Equity, Class::Other] {
            assert_eq!(bought(class, received), expected, "bought {received}");
            assert_eq!(redeemed(class, received), expected, "redeemed {received}");
        }
    }
}

#[test]
fn a_liquid_purchase_gets_the_nav_of_the_day_before_its_business_day() {
    for (received, expected) in [
        ("2026-11-20T13:29", "2026-11-19"),
        // After 13:30 on a Friday: the day before Monday is Sunday, and liquid schemes have a NAV then.
        ("2026-11-20T13:30", "2026-11-22"),
        ("2026-11-21T10:00", "2026-11-22"),
        ("2026-11-23T13:30", "2026-11-24"),
    ] {
        for class in [Class::Liquid, Class::Overnight] {
            assert_eq!(bought(class, received), expected, "{received}");
        }
    }
}

#[test]
fn a_liquid_redemption_gets_the_nav_of_the_day_before_the_next_business_day() {
    for (received, expected) in [
        ("2026-11-19T14:59", "2026-11-19"),
        ("2026-11-20T14:59", "2026-11-22"),
        // After the cut-off: the next business day's own.
        ("2026-11-20T15:00", "2026-11-23"),
        ("2026-11-23T15:00", "2026-11-25"),
        // Asked on a Saturday it counts for Monday, and the day before the next business day is Tuesday.
        ("2026-11-21T10:00", "2026-11-24"),
    ] {
        assert_eq!(redeemed(Class::Liquid, received), expected, "{received}");
    }
}

#[test]
fn overnight_schemes_redeem_until_seven_since_june_2025() {
    assert_eq!(redeemed(Class::Overnight, "2025-05-30T15:00"), "2025-06-02");
    assert_eq!(redeemed(Class::Overnight, "2025-06-06T15:00"), "2025-06-08");
    assert_eq!(redeemed(Class::Overnight, "2025-06-06T18:59"), "2025-06-08");
    assert_eq!(redeemed(Class::Overnight, "2025-06-06T19:00"), "2025-06-09");
    assert_eq!(redeemed(Class::Liquid, "2025-06-06T18:59"), "2025-06-09");
}

#[test]
fn always_open_gives_every_order_its_own_days_nav() {
    for class in [Class::Liquid, Class::Other] {
        for way in [Way::Purchase, Way::Redemption] {
            assert_eq!(in_mode(CalendarMode::AlwaysOpen, "2026-11-24T23:59", way, class), "2026-11-24");
        }
    }
}

#[test]
fn a_redemption_pays_by_category_and_date_in_settlement_days() {
    let (policy, calendar) = (Policy::default(), calendar());
    let rules = Rules { policy: &policy, calendar: &calendar, mode: CalendarMode::Exchange };
    let pays = |day: &str, class| rules.pays_on(Date::parse(day).expect("a valid test value"), class).to_string();
    assert_eq!(pays("2026-11-18", Class::Liquid), "2026-11-19");
    assert_eq!(pays("2026-11-22", Class::Overnight), "2026-11-23");
    assert_eq!(pays("2026-11-20", Class::Equity), "2026-11-25");
    assert_eq!(pays("2026-11-20", Class::Other), "2026-11-26");
    assert_eq!(pays("2023-01-31", Class::Equity), "2023-02-03");
    assert_eq!(pays("2023-02-01", Class::Equity), "2023-02-03");
}

#[test]
fn the_class_is_in_amfis_category() {
    for (category, class) in [
        (Some("Open Ended Schemes(Debt Scheme - Liquid Fund)"), Class::Liquid),
        (Some("Open Ended Schemes(Debt Scheme - Overnight Fund)"), Class::Overnight),
        (Some("Open Ended Schemes(Equity Scheme - ELSS)"), Class::Equity),
        (Some("Open Ended Schemes(Debt Scheme - Gilt Fund)"), Class::Other),
        (None, Class::Other),
    ] {
        assert_eq!(Class::of(category), class, "{category:?}");
    }
}
