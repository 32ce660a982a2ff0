//! AMFI's NAVAll in both widths, banners, missing NAVs and dead schemes.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails the test that called it")]

use domain::{market::Fact, money::Nav, time::Date};
use feeds::{Error, listing::Known, navall};

const SIX: &str = "Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Net Asset Value;Date\r\n";
const EIGHT: &str =
    "Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Plan;Option;Net Asset Value;Date\r\n";

fn read(text: &str) -> feeds::Parsed<navall::NavRow> {
    navall::parse(text.as_bytes()).unwrap()
}

#[test]
fn six_columns_with_banners_give_category_and_fund_house() {
    let parsed = read(&format!(
        "{SIX} \r\nOpen Ended Schemes(Debt Scheme - Liquid Fund)\r\n \r\nAlpha Mutual Fund\r\n \r\n\
         100001;INF000A01018;-;Alpha Liquid - Growth;1234.12345678;25-Feb-2025\r\n \r\nBeta Mutual Fund\r\n\
         100002;-;INF000B01016;Beta Liquid;10;03-Jun-2008\r\n \r\nClose Ended Schemes ( Income )\r\n\
         100003;-;-;Nobody's;0.0000;25-Feb-2025\r\n"
    ));
    assert_eq!((&parsed.refused, &parsed.skipped), (&vec![], &vec![]));
    let [alpha, beta, nobody] = parsed.rows.as_slice() else { panic!("{parsed:?}") };
    assert_eq!(alpha.line, 7);
    assert_eq!(alpha.scheme.amc.as_deref(), Some("Alpha Mutual Fund"));
    assert_eq!(alpha.scheme.category.as_deref(), Some("Open Ended Schemes(Debt Scheme - Liquid Fund)"));
    assert_eq!(alpha.scheme.isin_growth.unwrap().as_str(), "INF000A01018");
    assert_eq!((alpha.scheme.isin_reinvestment, alpha.nav), (None, Nav::parse("1234.12345678").unwrap()));
    assert_eq!(beta.scheme.amc.as_deref(), Some("Beta Mutual Fund"));
    assert_eq!((beta.date, beta.scheme.isin_growth), (Date::parse("2008-06-03").unwrap(), None), "each row's own date");
    assert_eq!((nobody.scheme.amc.as_deref(), nobody.nav), (None, Nav::ZERO), "a category ends the fund house");
    assert_eq!(nobody.scheme.category.as_deref(), Some("Close Ended Schemes ( Income )"));
}

#[test]
fn eight_columns_add_plan_and_option() {
    let parsed = read(&format!("{EIGHT}100001;INF000A01018;-;Alpha Liquid;Direct Plan;Growth;10.5;25-Feb-2025\r\n"));
    let scheme = &parsed.rows[0].scheme;
    assert_eq!((scheme.plan.as_deref(), scheme.option.as_deref()), (Some("Direct Plan"), Some("Growth")));
    assert_eq!(parsed.rows[0].nav, Nav::parse("10.5").unwrap());
}

#[test]
fn a_missing_nav_is_skipped_with_its_reason() {
    let parsed = read(&format!(
        "{SIX}1;-;-;A;N.A.;25-Feb-2025\n2;-;-;B;-;25-Feb-2025\n3;-;-;C;;25-Feb-2025\n4;-;-;D;1;25-Feb-2025\n"
    ));
    assert_eq!(parsed.rows.len(), 1);
    assert_eq!(parsed.skipped.iter().map(|skip| skip.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(parsed.skipped[0].to_string(), "line 2, Net Asset Value: has no NAV: 'N.A.'");
}

#[test]
fn a_corrupt_line_is_named_and_the_rest_is_kept() {
    let parsed = read(&format!(
        "{SIX}1;-;-;A;1;25-Feb-2025\n2;-;-;B\n3x;-;-;C;1;25-Feb-2025\n4;-;-;D;-1;25-Feb-2025\n5;-;-;;1;25-Feb-2025\n\
         6;-;-;F;1,5;25-Feb-2025\n7;-;-;G;1.123456789;25-Feb-2025\n8;-;-;H;1;2025-02-25\n9;-;-;{};1;25-Feb-2025\n10;-;-;J;1;25-Feb-2025\n",
        "n".repeat(201)
    ));
    assert_eq!(parsed.rows.iter().map(|row| row.scheme.scheme.as_str()).collect::<Vec<_>>(), ["1", "10"]);
    assert_eq!(parsed.refused.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_word_in_place_of_an_isin_is_left_out_and_told_and_a_bare_point_is_read() {
    let parsed = read(&format!("{SIX}1;INF000A01018;Redeemed;A;58.;25-Feb-2025\n"));
    assert_eq!(parsed.refused, []);
    assert_eq!(
        parsed.left_out[0].to_string(),
        "line 2, ISIN Div Reinvestment: 'Redeemed' must be an ISIN: two capitals and ten capitals or digits"
    );
    let row = &parsed.rows[0];
    assert_eq!((row.nav, row.scheme.isin_reinvestment), (Nav::parse("58").unwrap(), None));
    assert!(row.scheme.isin_growth.is_some());
}

#[test]
fn names_beyond_ascii_survive_in_either_encoding() {
    let mut bytes = format!("{SIX}1;-;-;Société – A;1;25-Feb-2025\n").into_bytes();
    bytes.extend(b"2;-;-;Soci\xE9t\xE9;1;25-Feb-2025\n");
    let rows = navall::parse(&bytes).unwrap().rows;
    assert_eq!((&*rows[0].scheme.name, &*rows[1].scheme.name), ("Société – A", "Société"));
}

#[test]
fn a_row_describes_its_scheme_once_and_again_when_it_changes() {
    let first = read(&format!("{SIX}1;-;-;A;1;25-Feb-2025\n")).rows.remove(0);
    let next = read(&format!("{SIX}1;-;-;A;2;26-Feb-2025\n")).rows.remove(0);
    let renamed = read(&format!("{SIX}1;-;-;B;3;27-Feb-2025\n")).rows.remove(0);
    let mut known = Known::default();
    let told = |row: &navall::NavRow, known: &mut Known| row.facts(known).map(|fact| fact.kind()).collect::<Vec<_>>();
    assert_eq!(told(&first, &mut known), ["list_scheme", "record_nav"]);
    assert_eq!(told(&next, &mut known), ["record_nav"]);
    assert_eq!(told(&renamed, &mut known), ["list_scheme", "record_nav"]);
    let mut elsewhere = Known::default();
    elsewhere.remember_scheme(&first.scheme);
    assert_eq!(next.facts(&mut elsewhere).collect::<Vec<_>>(), [Fact::from(next.nav())]);
}

#[test]
fn what_is_no_navall_is_refused_as_a_whole() {
    for text in ["", "100001;-;-;A;1;25-Feb-2025\n", "Scheme Code;Scheme Name\n", "<html>\n"] {
        assert!(matches!(navall::parse(text.as_bytes()), Err(Error::Header { kind: "NAVAll file", .. })), "{text}");
    }
}
