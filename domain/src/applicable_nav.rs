//! Which day's NAV a fund order gets, and when a redemption pays, by scheme category, cut-off and calendar; knows no NAV.
//!
//! The rules are SEBI's (master circular for mutual funds, applicability of NAV); their times are in the policy.

use crate::{
    calendar::{Calendar, CalendarMode},
    ids::Exchange,
    policy::Policy,
    time::{Date, TimeOfDay, Timestamp},
};

/// The longest search for a business day: no fund house closes for a month.
const SEARCH_DAYS: i32 = 31;

/// What the cut-offs tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Overnight schemes: as liquid ones, but for their redemptions' cut-off.
    Overnight,
    /// Liquid schemes: the NAV of a day before.
    Liquid,
    /// Equity schemes.
    Equity,
    /// All others.
    Other,
}

impl Class {
    /// From AMFI's category, for instance `Open Ended Schemes(Debt Scheme - Liquid Fund)`.
    pub fn of(category: Option<&str>) -> Self {
        let category = category.unwrap_or_default().to_ascii_lowercase();
        if category.contains("overnight") {
            Self::Overnight
        } else if category.contains("liquid") {
            Self::Liquid
        } else if category.contains("equity scheme") {
            Self::Equity
        } else {
            Self::Other
        }
    }
    const fn has_a_nav_every_day(self) -> bool {
        matches!(self, Self::Overnight | Self::Liquid)
    }
}

/// Which way the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Money in; what counts is when both request and money were there.
    Purchase,
    /// Money out.
    Redemption,
}

/// The calendar and the dated rules that fund orders go by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Cut-offs and days.
    pub policy: &'a Policy,
    /// Business days.
    pub calendar: &'a Calendar,
    /// Which calendar this process runs by.
    pub mode: CalendarMode,
}

impl Rules<'_> {
    /// The day whose NAV applies to what was there then; `None` when no business day is near.
    ///
    /// The business day is the first whose cut-off comes later. Most schemes give its NAV. Liquid and overnight
    /// schemes have a NAV every calendar day: a purchase gets that of the day before the business day; a redemption
    /// that of the day before the next business day, or after the cut-off the next business day's own. The
    /// always-open calendar cuts off at 24:00 and gives every order its own day's NAV.
    pub fn nav_date(&self, received: Timestamp, way: Way, class: Class) -> Option<Date> {
        let today = received.date();
        if self.mode == CalendarMode::AlwaysOpen {
            return Some(today);
        }
        let in_time = received < today.at(self.cut_off(today, way, class));
        let first = if in_time { today } else { today.next() };
        let business_day = self.business_day_from(first)?;
        Some(match (way, class.has_a_nav_every_day()) {
            (_, false) => business_day,
            (Way::Purchase, true) => business_day.plus_days(-1),
            (Way::Redemption, true) if !in_time && self.is_business_day(today) => business_day,
            (Way::Redemption, true) => self.business_day_from(business_day.next())?.plus_days(-1),
        })
    }

    /// When a redemption at that day's NAV pays.
    pub fn pays_on(&self, nav_date: Date, class: Class) -> Date {
        let days = match class {
            Class::Overnight | Class::Liquid => self.policy.fund_pays_days_liquid(nav_date),
            Class::Equity => self.policy.fund_pays_days_equity(nav_date),
            Class::Other => self.policy.fund_pays_days(nav_date),
        };
        self.calendar.settlement_date(self.mode, nse(), nav_date, days)
    }

    fn cut_off(&self, date: Date, way: Way, class: Class) -> TimeOfDay {
        match (way, class) {
            (Way::Purchase, Class::Overnight | Class::Liquid) => self.policy.fund_purchase_cut_off_liquid(date),
            (Way::Purchase, Class::Equity | Class::Other) => self.policy.fund_purchase_cut_off(date),
            (Way::Redemption, Class::Overnight) => self.policy.fund_redemption_cut_off_overnight(date),
            (Way::Redemption, _) => self.policy.fund_redemption_cut_off(date),
        }
    }

    fn business_day_from(&self, first: Date) -> Option<Date> {
        (0..=SEARCH_DAYS).map(|days| first.plus_days(days)).find(|date| self.is_business_day(*date))
    }

    /// Fund business days follow NSE's sessions and the banks.
    fn is_business_day(&self, date: Date) -> bool {
        self.calendar.session(self.mode, nse(), date).is_some()
            && self.calendar.is_settlement_day(self.mode, nse(), date)
    }
}

fn nse() -> Exchange {
    Exchange::new("NSE").expect("an exchange")
}
