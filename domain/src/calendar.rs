//! Sessions and settlement days of an exchange, folded from calendar facts; reads no clock.

use crate::{
    ids::Exchange,
    order::CalendarBasis,
    time::{Date, TimeOfDay, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::RangeBounds};

/// Which calendar a process runs by; recorded with every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CalendarMode {
    /// The exchange's own, from recorded facts.
    #[default]
    #[serde(rename = "exchange")]
    Exchange,
    /// Each day is a session from 00:00 to 24:00 and a settlement day.
    #[serde(rename = "always-open")]
    AlwaysOpen,
}

impl CalendarMode {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::AlwaysOpen => "always-open",
        }
    }
}

/// Regular hours of NSE's and BSE's cash market.
pub const REGULAR_OPEN: TimeOfDay = TimeOfDay::new(9, 15).expect("a time");
/// Regular end of the session, and the time at which a settlement date settles.
pub const REGULAR_CLOSE: TimeOfDay = TimeOfDay::new(15, 30).expect("a time");
/// Longest search for the next session or settlement day: no exchange closes for a month.
const SEARCH_DAYS: i32 = 31;

/// A day that is not as the weekday says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Day {
    /// Closed; still a settlement day if the flag says so.
    Holiday {
        /// Whether banks and depositories settle.
        settlement: bool,
    },
    /// Open in these hours.
    Session {
        /// From.
        open: TimeOfDay,
        /// To.
        close: TimeOfDay,
        /// Whether banks and depositories settle.
        settlement: bool,
    },
}

/// A trading session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its day.
    pub date: Date,
    /// From.
    pub open: TimeOfDay,
    /// To.
    pub close: TimeOfDay,
    /// Whether the day lies within the recorded facts.
    pub basis: CalendarBasis,
}

impl Session {
    /// When it starts.
    pub fn opens_at(&self) -> Timestamp {
        self.date.at(self.open)
    }
    /// When it ends.
    pub fn closes_at(&self) -> Timestamp {
        self.date.at(self.close)
    }
}

/// Recorded days by exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    days: BTreeMap<Exchange, BTreeMap<Date, Day>>,
}

impl Calendar {
    /// With one more day.
    pub fn record(&mut self, exchange: Exchange, date: Date, day: Day) {
        self.days.entry(exchange).or_default().insert(date, day);
    }
    /// The recorded day, of this exchange alone.
    pub fn recorded(&self, exchange: Exchange, date: Date) -> Option<Day> {
        self.days.get(&exchange)?.get(&date).copied()
    }
    /// The recorded days of this exchange alone within these dates.
    pub fn recorded_within(
        &self,
        exchange: Exchange,
        dates: impl RangeBounds<Date>,
    ) -> impl Iterator<Item = (Date, Day)> + '_ {
        let days = self.days.get(&exchange).map(|days| days.range(dates));
        days.into_iter().flatten().map(|(date, day)| (*date, *day))
    }
    /// All recorded days.
    pub fn iter(&self) -> impl Iterator<Item = (Exchange, Date, Day)> + '_ {
        self.days.iter().flat_map(|(exchange, days)| days.iter().map(|(date, day)| (*exchange, *date, *day)))
    }
    /// An exchange without facts of its own follows NSE.
    fn facts(&self, exchange: Exchange) -> Option<&BTreeMap<Date, Day>> {
        self.days.get(&exchange).or_else(|| self.days.get(&Exchange::new("NSE").expect("an exchange")))
    }
    fn basis(&self, exchange: Exchange, date: Date) -> CalendarBasis {
        let end = self.facts(exchange).and_then(|days| days.last_key_value()).map(|(end, _)| *end);
        if end.is_some_and(|end| date <= end) { CalendarBasis::Recorded } else { CalendarBasis::Assumed }
    }
    /// The session on a day, if there is one.
    pub fn session(&self, mode: CalendarMode, exchange: Exchange, date: Date) -> Option<Session> {
        if mode == CalendarMode::AlwaysOpen {
            return Some(Session {
                date,
                open: TimeOfDay::MIDNIGHT,
                close: TimeOfDay::END_OF_DAY,
                basis: CalendarBasis::Recorded,
            });
        }
        let basis = self.basis(exchange, date);
        match self.facts(exchange).and_then(|days| days.get(&date)) {
            Some(Day::Holiday { .. }) => None,
            Some(Day::Session { open, close, .. }) => Some(Session { date, open: *open, close: *close, basis }),
            None if date.is_weekend() => None,
            None => Some(Session { date, open: REGULAR_OPEN, close: REGULAR_CLOSE, basis }),
        }
    }
    /// The session an order placed now is for: today's if it is not over, else the next.
    pub fn session_for(&self, mode: CalendarMode, exchange: Exchange, now: Timestamp) -> Option<Session> {
        let today = now.date();
        (0..=SEARCH_DAYS)
            .filter_map(|days| self.session(mode, exchange, today.plus_days(days)))
            .find(|session| now < session.closes_at())
    }
    /// Whether cash and shares settle on a day.
    pub fn is_settlement_day(&self, mode: CalendarMode, exchange: Exchange, date: Date) -> bool {
        if mode == CalendarMode::AlwaysOpen {
            return true;
        }
        match self.facts(exchange).and_then(|days| days.get(&date)) {
            Some(Day::Holiday { settlement } | Day::Session { settlement, .. }) => *settlement,
            None => !date.is_weekend(),
        }
    }
    /// The so-manieth settlement day after a trade date.
    pub fn settlement_date(&self, mode: CalendarMode, exchange: Exchange, trade_date: Date, days: u32) -> Date {
        let mut date = trade_date;
        let mut left = days;
        for _ in 0..SEARCH_DAYS {
            date = date.next();
            if self.is_settlement_day(mode, exchange, date) {
                left = left.saturating_sub(1);
                if left == 0 {
                    break;
                }
            }
        }
        date
    }
    /// When a settlement date settles: at 15:30 IST, or, should the clearing turn out closed that day, at 15:30 of the
    /// first settlement day after it. By NSE's calendar, as cash is cleared for all exchanges alike.
    pub fn settles_at(&self, mode: CalendarMode, date: Date) -> Timestamp {
        let nse = Exchange::new("NSE").expect("an exchange");
        let is_closed = self.recorded(nse, date).is_some() && !self.is_settlement_day(mode, nse, date);
        if is_closed { self.settlement_date(mode, nse, date, 1) } else { date }.at(REGULAR_CLOSE)
    }
}
