//! Dates, times of day and instants: what they read, print and refuse.

use domain::time::{Date, TimeOfDay, Timestamp};
use proptest::prelude::*;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

fn date(text: &str) -> Date {
    Date::parse(text).expect("a date")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

#[test]
fn a_date_is_read_only_in_one_shape() {
    for text in [
        "",
        "2026-1-01",
        "2026-01-1",
        "26-01-01",
        "2026/01/01",
        "20260101",
        "2026-01-01 ",
        " 2026-01-01",
        "2026-13-01",
        "2026-00-10",
        "2026-02-30",
        "2025-02-29",
        "2026-04-31",
        "1899-12-31",
        "2201-01-01",
        "+026-01-01",
        "2026-01-0x",
        "२०२६-01",
        "2026-01-01T00:00:00",
    ] {
        assert!(Date::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(date("2024-02-29").ymd(), (2024, 2, 29));
    assert!(Date::from_ymd(2025, 2, 29).is_none());
}

#[test]
fn weekends_and_neighbouring_days_follow_the_calendar() {
    assert!(date("2026-11-21").is_weekend());
    assert!(date("2026-11-22").is_weekend());
    assert!(!date("2026-11-23").is_weekend());
    assert_eq!(date("2024-02-28").next(), date("2024-02-29"));
    assert_eq!(date("2026-01-01").plus_days(-1), date("2025-12-31"));
    assert_eq!(date("1970-01-01").days_since_epoch(), 0);
}

#[test]
fn a_day_begins_at_midnight_in_india() {
    assert_eq!(date("2026-11-23").start(), at("2026-11-22T18:30:00Z"));
    assert_eq!(at("2026-11-22T18:30:00Z").date(), date("2026-11-23"));
    assert_eq!(at("2026-11-22T18:29:59.999999Z").date(), date("2026-11-22"));
    assert_eq!(date("2026-11-23").at(TimeOfDay::END_OF_DAY), date("2026-11-24").start());
    assert_eq!(date("2026-11-23").at(TimeOfDay::parse("09:15").unwrap()), at("2026-11-23T09:15:00+05:30"));
    assert_eq!(at("2026-11-23T09:15:59.999999+05:30").time_of_day(), TimeOfDay::parse("09:15").unwrap());
}

#[test]
fn a_time_of_day_ends_at_24_00() {
    assert_eq!(TimeOfDay::parse("24:00"), Ok(TimeOfDay::END_OF_DAY));
    assert_eq!(TimeOfDay::parse("15:30").unwrap().to_string(), "15:30");
    for text in ["24:01", "25:00", "12:60", "9:15", "09:15:00", "0915", "ab:cd", "", "99:99", "-1:00"] {
        assert!(TimeOfDay::parse(text).is_err(), "{text:?}");
    }
    assert!(TimeOfDay::new(u16::MAX, 0).is_none());
}

#[test]
fn an_instant_needs_an_offset_and_prints_in_indias_time() {
    assert_eq!(at("2026-11-23T04:01:02.123456Z").to_string(), "2026-11-23T09:31:02.123456+05:30");
    assert_eq!(at("2026-11-23T09:31:02+05:30").to_string(), "2026-11-23T09:31:02.000000+05:30");
    assert_eq!(at("2026-11-23T09:31:02.123456789+05:30"), at("2026-11-23T09:31:02.123456+05:30"));
    for text in [
        "",
        "2026-11-23",
        "2026-11-23T09:31:02",
        "2026-11-23T24:00:00+05:30",
        "2026-11-23T09:60:00+05:30",
        "2026-11-23T09:31:61+05:30",
        "2026-02-30T09:31:02+05:30",
        "1899-12-31T00:00:00+05:30",
        "2201-01-01T00:00:00+05:30",
        "2026-11-23T09:31:02.+05:30",
        "2026-11-23T09:31:02.12345x+05:30",
        "now",
    ] {
        assert!(Timestamp::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_instant_that_india_writes_in_another_century_is_refused() {
    // Within 2200 as written, in 2201 as it would be stored, where it could not be read again.
    assert!(Timestamp::parse("2200-12-31T23:59:59-05:00").is_err());
    assert!(Timestamp::parse("2200-12-31T18:29:59Z").is_ok());
}

proptest! {
    #[test]
    fn every_date_prints_and_reads_back(days in -25_000_i32..84_000) {
        let day = date("1970-01-01").plus_days(days);
        prop_assert_eq!(Date::parse(&day.to_string()), Ok(day));
        prop_assert_eq!(day.days_since_epoch(), days);
        prop_assert_eq!(day.start().date(), day);
        prop_assert_eq!(day.next().days_since_epoch(), days + 1);
    }

    #[test]
    fn every_instant_prints_and_reads_back_as_the_time_crate_reads_it(
        micros in -2_000_000_000_000_000_i64..7_000_000_000_000_000,
    ) {
        let instant = Timestamp::from_micros(micros);
        let text = instant.to_string();
        prop_assert_eq!(Timestamp::parse(&text), Ok(instant));
        let oracle = OffsetDateTime::parse(&text, &Rfc3339).unwrap();
        prop_assert_eq!(oracle.unix_timestamp_nanos(), i128::from(micros) * 1000);
        prop_assert_eq!(instant.to_offset_date_time(), oracle);
        let (hour, minute) = (u16::from(oracle.hour()), u16::from(oracle.minute()));
        prop_assert_eq!(Some(instant.time_of_day()), TimeOfDay::new(hour, minute));
    }

    #[test]
    fn what_is_accepted_reads_back_from_what_is_printed(text in "(1900|2026|2200)-(01|12)-(01|31)T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9])") {
        if let Ok(instant) = Timestamp::parse(&text) {
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,40}", shaped in "[0-9T:.+Z-]{0,36}") {
        for text in [text, shaped] {
            let _ = (Date::parse(&text), TimeOfDay::parse(&text), Timestamp::parse(&text));
        }
    }
}
