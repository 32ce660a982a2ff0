//! The policy file: what the shipped one says when, and what is refused.

use domain::{
    money::Percent,
    policy::{Policy, SHIPPED},
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
fn a_policy_file_is_refused_with_line_and_reason() {
    // The line added to the shipped file comes last.
    let end = SHIPPED.lines().count() + 1;
    for (added, problem) in [
        ("usable_sale_settled,2024-10-07,90", "rising dates without overlap"),
        ("usable_sale_settled,2020-01-01,90", "rising dates without overlap"),
        ("brokerage,2026-04-01,20", "unknown rule 'brokerage'"),
        ("usable_sale_settled,2026-13-01,90", "from must be a date"),
        ("usable_sale_settled,2027-01-01,1e2", "value must be a plain decimal"),
        ("usable_sale_settled,2027-01-01,101", "between 0 and 100"),
        ("usable_sale_settled,2027-01-01,-1", "between 0 and 100"),
        ("usable_sale_settled,2027-01-01", "must be name,from,value"),
        ("usable_sale_settled;2027-01-01;90", "must be name,from,value"),
        ("settlement_days,2027-01-01,0.5", "whole"),
        ("version,2027-01-01", "version"),
    ] {
        let error = Policy::parse(&format!("{SHIPPED}{added}\n")).unwrap_err();
        assert_eq!(error.line, end, "{added}: {error}");
        assert!(error.problem.contains(problem), "{added}: {error}");
    }
}

#[test]
fn a_policy_file_without_a_rule_or_a_version_is_refused() {
    for name in ["usable_sale_t1", "settlement_days", "version"] {
        let without: String =
            SHIPPED.lines().filter(|line| !line.starts_with(name)).map(|line| format!("{line}\n")).collect();
        let error = Policy::parse(&without).unwrap_err();
        assert_eq!(error.line, 0);
        assert!(error.problem.contains(name), "{error}");
    }
    assert!(Policy::parse("").is_err());
}
