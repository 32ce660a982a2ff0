//! Dates, times of day and instants as India's markets count them; reads no clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 24 * 60 * MICROS_PER_MINUTE;
/// India Standard Time is UTC+05:30 the whole year.
const IST_MICROS: i64 = (5 * 60 + 30) * MICROS_PER_MINUTE;
const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// Why a text is not a date, time or instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseTimeError(&'static str);

/// A day in India, `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(time::Date);

impl Date {
    /// The day of that calendar date; `None` when there is none.
    pub fn from_ymd(year: i32, month: u8, day: u8) -> Option<Self> {
        let month = time::Month::try_from(month).ok()?;
        (1900..=2200).contains(&year).then_some(())?;
        time::Date::from_calendar_date(year, month, day).ok().map(Self)
    }
    /// Reads `YYYY-MM-DD` between 1900 and 2200.
    ///
    /// # Errors
    /// When the text has another shape or names no day.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        const RULE: ParseTimeError = ParseTimeError("must be a date as YYYY-MM-DD");
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(RULE);
        }
        Self::parse_own(bytes).ok_or(RULE)
    }
    /// Ten bytes with their dashes in place.
    fn parse_own(bytes: &[u8]) -> Option<Self> {
        let year = i32::from(pair(bytes, 0)?) * 100 + i32::from(pair(bytes, 2)?);
        Self::from_ymd(year, pair(bytes, 5)?, pair(bytes, 8)?)
    }
    /// Year, month (1 to 12), day.
    pub fn ymd(self) -> (i32, u8, u8) {
        let (year, month, day) = self.0.to_calendar_date();
        (year, month as u8, day)
    }
    /// The day after.
    pub fn next(self) -> Self {
        self.plus_days(1)
    }
    /// The day so many days later (or earlier).
    pub fn plus_days(self, days: i32) -> Self {
        Self(time::Date::from_julian_day(self.0.to_julian_day().saturating_add(days)).unwrap_or(self.0))
    }
    /// Days since 1970-01-01.
    pub fn days_since_epoch(self) -> i32 {
        self.0.to_julian_day() - UNIX_EPOCH_JULIAN_DAY
    }
    /// Saturday or Sunday.
    pub fn is_weekend(self) -> bool {
        matches!(self.0.weekday(), time::Weekday::Saturday | time::Weekday::Sunday)
    }
    /// The instant of a time of day in India on this day.
    pub fn at(self, time: TimeOfDay) -> Timestamp {
        Timestamp(
            i64::from(self.days_since_epoch()) * MICROS_PER_DAY + i64::from(time.0) * MICROS_PER_MINUTE - IST_MICROS,
        )
    }
    /// 00:00 in India on this day.
    pub fn start(self) -> Timestamp {
        self.at(TimeOfDay::MIDNIGHT)
    }
    fn write(self, out: &mut [u8; 10]) {
        let (year, month, day) = self.ymd();
        let year = year as u16;
        out[0] = b'0' + (year / 1000) as u8;
        out[1] = b'0' + (year / 100 % 10) as u8;
        two(&mut out[2..4], (year % 100) as u8);
        out[4] = b'-';
        two(&mut out[5..7], month);
        out[7] = b'-';
        two(&mut out[8..10], day);
    }
}

/// The number that two digits at this place make; every stored entry holds dozens.
#[inline(always)]
fn pair(bytes: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (bytes.get(at)?.wrapping_sub(b'0'), bytes.get(at + 1)?.wrapping_sub(b'0'));
    if tens < 10 && ones < 10 { Some(tens * 10 + ones) } else { None }
}

fn two(out: &mut [u8], value: u8) {
    out[0] = b'0' + value / 10;
    out[1] = b'0' + value % 10;
}

/// Minutes since midnight in India, `HH:MM`; 24:00 is the end of the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// 00:00.
    pub const MIDNIGHT: Self = Self(0);
    /// 24:00.
    pub const END_OF_DAY: Self = Self(24 * 60);
    /// That hour and minute; `None` past 24:00.
    pub const fn new(hour: u16, minute: u16) -> Option<Self> {
        if hour <= 24 && minute < 60 && hour * 60 + minute <= 24 * 60 { Some(Self(hour * 60 + minute)) } else { None }
    }
    /// Reads `HH:MM`.
    ///
    /// # Errors
    /// When the text has another shape or is past 24:00.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        const RULE: ParseTimeError = ParseTimeError("must be a time of day as HH:MM");
        match text.as_bytes() {
            [h, i, b':', m, n] if [h, i, m, n].iter().all(|b| b.is_ascii_digit()) => {
                let number = |a: &u8, b: &u8| u16::from(a - b'0') * 10 + u16::from(b - b'0');
                Self::new(number(h, i), number(m, n)).ok_or(RULE)
            }
            _ => Err(RULE),
        }
    }
}

/// An instant in microseconds since 1970-01-01T00:00:00Z; written in India's time.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// The day it is in India.
    pub fn date(self) -> Date {
        let days = (self.0 + IST_MICROS).div_euclid(MICROS_PER_DAY) as i32;
        Date(
            time::Date::from_julian_day(days + UNIX_EPOCH_JULIAN_DAY)
                .expect("instants parsed here lie between 1900 and 2200"),
        )
    }
    /// The minute of the day in India, seconds cut off.
    pub fn time_of_day(self) -> TimeOfDay {
        TimeOfDay(((self.0 + IST_MICROS).rem_euclid(MICROS_PER_DAY) / MICROS_PER_MINUTE) as u16)
    }
    /// Reads RFC 3339 with an offset, to the microsecond, between 1900 and 2200.
    ///
    /// # Errors
    /// When the text has another shape or names no instant.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        const RULE: ParseTimeError =
            ParseTimeError("must be an RFC 3339 time with offset, such as 2026-11-23T09:31:02+05:30");
        if let Some(own) = Self::parse_own(text.as_bytes()) {
            return Ok(own);
        }
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| RULE)?;
        let parsed = i64::try_from(instant.unix_timestamp_nanos().div_euclid(1000)).map(Self).map_err(|_| RULE)?;
        // India's year, not the text's: what is accepted here is written in India's time and must read back.
        (1900..=2200).contains(&parsed.date().ymd().0).then_some(parsed).ok_or(RULE)
    }
    /// The form this module prints, read without the general parser: it is in every stored entry.
    fn parse_own(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32
            || &bytes[26..] != b"+05:30"
            || bytes[10] != b'T'
            || bytes[13] != b':'
            || bytes[16] != b':'
            || bytes[19] != b'.'
        {
            return None;
        }
        if bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let date = Date::parse_own(bytes)?;
        let number = |at| pair(bytes, at).map(i64::from);
        let (hour, minute, second) = (number(11)?, number(14)?, number(17)?);
        let micro = number(20)? * 10_000 + number(22)? * 100 + number(24)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        Some(Self(date.start().0 + (hour * 60 + minute) * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micro))
    }
    /// `YYYY-MM-DDTHH:MM:SS.ffffff+05:30`.
    pub fn text(self) -> arrayvec::ArrayString<32> {
        let mut out = *b"0000-00-00T00:00:00.000000+05:30";
        let date: &mut [u8; 10] = out.first_chunk_mut().expect("32 bytes hold 10");
        self.date().write(date);
        let within = (self.0 + IST_MICROS).rem_euclid(MICROS_PER_DAY);
        let seconds = within / MICROS_PER_SECOND;
        two(&mut out[11..13], (seconds / 3600) as u8);
        two(&mut out[14..16], (seconds / 60 % 60) as u8);
        two(&mut out[17..19], (seconds % 60) as u8);
        let mut micros = within % MICROS_PER_SECOND;
        for at in (20..26).rev() {
            out[at] = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        arrayvec::ArrayString::from(std::str::from_utf8(&out).expect("digits are ASCII")).expect("32 bytes fit")
    }
    /// So many microseconds later.
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
    /// As the `time` crate's instant in India's time.
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .expect("microseconds in i64 that were parsed here are in range")
            .to_offset(UtcOffset::from_hms(5, 30, 0).expect("India's offset"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = [0; 10];
        self.write(&mut out);
        f.write_str(std::str::from_utf8(&out).expect("digits are ASCII"))
    }
}
impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

macro_rules! as_text {
    ($name:ident, $expecting:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl std::str::FromStr for $name {
            type Err = ParseTimeError;
            fn from_str(text: &str) -> Result<Self, ParseTimeError> {
                Self::parse(text)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.number().serialize(serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                if !deserializer.is_human_readable() {
                    let number = Deserialize::deserialize(deserializer)?;
                    return $name::of_number(number).ok_or_else(|| de::Error::custom(concat!("must be ", $expecting)));
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

/// As numbers in a form that only machines read.
impl Date {
    fn number(self) -> i32 {
        self.0.to_julian_day()
    }
    fn of_number(number: i32) -> Option<Self> {
        time::Date::from_julian_day(number).ok().map(Self)
    }
}
impl TimeOfDay {
    fn number(self) -> u16 {
        self.0
    }
    fn of_number(number: u16) -> Option<Self> {
        (number <= Self::END_OF_DAY.0).then_some(Self(number))
    }
}
impl Timestamp {
    fn number(self) -> i64 {
        self.0
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(Self(number))
    }
}
as_text!(Date, "a date as YYYY-MM-DD");
as_text!(TimeOfDay, "a time of day as HH:MM");
as_text!(Timestamp, "an RFC 3339 time with offset");
