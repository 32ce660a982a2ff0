//! The policy file: what the shipped one says when, and what is refused.

use domain::{
    money::{Money, Percent},
    policy::{Fault, Policy, SHIPPED},
    time::Date,
};

fn date(text: &str) -> Date {
    Date::parse(text).expect("a date")
}

#[test]
fn a_rule_holds_from_its_date_until_the_next() {
    let policy = Policy::parse(SHIPPED).unwrap();
    assert_eq!(policy.version(), "2026-04-01");
    assert_eq!(policy.usable_sale_settled(date("2024-10-06")), Percent::whole(80));
    assert_eq!(policy.usable_sale_settled(date("2024-10-07")), Percent::whole(100));
    assert_eq!(policy.usable_sale_t1(date("2023-06-18")), Percent::whole(80));
    assert_eq!(policy.usable_sale_t1(date("2023-06-19")), Percent::ZERO);
    assert_eq!(policy.settlement_days(date("2023-01-26")), 2);
    assert_eq!(policy.settlement_days(date("2023-01-27")), 1);
    assert_eq!(policy.market_order_margin(date("2026-11-23")), Percent::whole(5));
    assert_eq!(policy.redemption_margin(date("2026-11-23")), Percent::whole(5));
}

#[test]
fn before_its_first_date_a_rule_has_its_first_value() {
    let policy = Policy::default();
    assert_eq!(policy.settlement_days(date("1999-01-01")), 2);
    assert_eq!(policy.usable_sale_settled(date("1999-01-01")), Percent::whole(80));
}

#[test]
fn a_policy_file_is_refused_with_line_code_and_reason() {
    // The line added to the shipped file comes last.
    let end = SHIPPED.lines().count() + 1;
    for (added, fault, problem) in [
        ("usable_sale_settled,2024-10-07,90", Fault::Overlap, "two values on 2024-10-07"),
        ("usable_sale_settled,2020-01-01,90", Fault::Overlap, "two values on 2020-01-01"),
        ("usable_sale_settled,2026-01-01,2025-12-31,90", Fault::Unreadable, "ends before it begins"),
        ("usable_sale_settled,2026-01-01,2026-12-31,90", Fault::Gap, "no value after 2026-12-31"),
        ("brokerage,2026-04-01,20", Fault::UnknownRule, "unknown rule 'brokerage'"),
        ("usable_sale_settled,2026-13-01,90", Fault::Unreadable, "from must be a date"),
        ("usable_sale_settled,2026-01-01,2026-13-01,90", Fault::Unreadable, "until must be a date"),
        ("usable_sale_settled,2027-01-01,1e2", Fault::Value, "value must be a plain decimal"),
        ("usable_sale_settled,2027-01-01,101", Fault::Value, "between 0 and 100"),
        ("usable_sale_settled,2027-01-01,-1", Fault::Value, "between 0 and 100"),
        ("usable_sale_settled,2027-01-01", Fault::Unreadable, "must be name,from,value"),
        ("usable_sale_settled;2027-01-01;90", Fault::Unreadable, "must be name,from,value"),
        ("settlement_days,2027-01-01,0.5", Fault::Value, "whole"),
        ("settlement_days,2027-01-01,15", Fault::Value, "from 1 to 14"),
        ("fund_purchase_cut_off,2027-01-01,25:00", Fault::Value, "value must be"),
        ("version,2027-01-01", Fault::Version, "version"),
    ] {
        let error = Policy::parse(&format!("{SHIPPED}{added}\n")).unwrap_err();
        assert_eq!((error.line, error.fault), (end, fault), "{added}: {error}");
        assert!(error.problem.contains(problem), "{added}: {error}");
        assert!(error.to_string().contains(fault.code()), "{error}");
    }
}

#[test]
fn a_day_with_no_value_is_a_gap_and_a_day_with_two_an_overlap() {
    let with = |lines: [&str; 2]| {
        let others: String =
            SHIPPED.lines().filter(|l| !l.starts_with("redemption_margin")).flat_map(|l| [l, "\n"]).collect();
        Policy::parse(&format!("{others}{}\n{}\n", lines[0], lines[1]))
    };
    let met = with(["redemption_margin,2020-01-01,2025-12-31,5", "redemption_margin,2026-01-01,7"]).unwrap();
    assert_eq!(met.redemption_margin(date("2025-12-31")), Percent::whole(5));
    assert_eq!(met.redemption_margin(date("2026-01-01")), Percent::whole(7));
    let gap = with(["redemption_margin,2020-01-01,2025-12-30,5", "redemption_margin,2026-01-01,7"]).unwrap_err();
    assert_eq!(gap.fault, Fault::Gap);
    assert!(gap.problem.contains("no value from 2025-12-31 to 2025-12-31"), "{gap}");
    let overlap = with(["redemption_margin,2020-01-01,2026-01-01,5", "redemption_margin,2026-01-01,7"]).unwrap_err();
    assert_eq!(overlap.fault, Fault::Overlap);
    assert!(overlap.problem.contains("two values on 2026-01-01"), "{overlap}");
}

#[test]
fn stamp_duty_is_included_in_the_amount_and_begins_in_july_2020() {
    let policy = Policy::default();
    let duty = |amount: &str, day: &str| policy.stamp_duty_within(Money::parse(amount).unwrap(), date(day)).unwrap();
    assert_eq!(duty("5000.00", "2020-06-30"), Money::ZERO);
    assert_eq!(duty("5000.00", "2020-07-01"), Money::parse("0.25").unwrap());
    assert_eq!(duty("10000000.00", "2026-01-01"), Money::parse("499.98").unwrap());
}

#[test]
fn a_policy_file_without_a_rule_or_a_version_is_refused() {
    for name in ["usable_sale_t1", "settlement_days", "fund_stamp_duty", "version"] {
        let without: String =
            SHIPPED.lines().filter(|line| !line.starts_with(name)).map(|line| format!("{line}\n")).collect();
        let error = Policy::parse(&without).unwrap_err();
        assert_eq!(error.line, 0);
        assert!(error.problem.contains(name), "{error}");
    }
    assert!(Policy::parse("").is_err());
}
