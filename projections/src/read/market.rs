//! The market as it stands: instruments, prices, schemes, NAVs, calendar; a copy of each page, so that no lock outlives it.

use crate::{
    Error, List, Page,
    instruments::{InstrumentRow, Instruments},
    navs::{Navs, SchemeRow},
    page::{after_key, after_number},
    prices::{PriceRow, Prices, Quote},
    store::Views,
    view::{Stop, View},
};
use domain::{
    ids::{Exchange, InstrumentId, Isin, SchemeCode, Series, Symbol},
    market::{CalendarDay, DayKind, Scheme},
    money::{Nav, Percent, Price},
    time::{Date, TimeOfDay, Timestamp},
};
use parking_lot::RwLockReadGuard;
use serde::Serialize;

/// Which instruments are asked for; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct InstrumentFilter {
    /// Where they trade.
    pub exchange: Option<Exchange>,
    /// With this ISIN.
    pub isin: Option<Isin>,
    /// Whose id or symbol begins so, in capitals.
    pub prefix: Option<Box<str>>,
}

/// Which schemes are asked for; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct SchemeFilter {
    /// Of this fund house.
    pub amc: Option<Box<str>>,
    /// Whose name holds this, in any case.
    pub name: Option<Box<str>>,
    /// With this ISIN, of growth or of reinvestment.
    pub isin: Option<Isin>,
}

/// Which days are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DayFilter {
    /// This date or later.
    pub from: Option<Date>,
    /// This date or earlier.
    pub to: Option<Date>,
}

impl DayFilter {
    fn holds(&self, date: Date) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstrumentAnswer {
    /// Its id.
    pub instrument: InstrumentId,
    /// Its ISIN, where known.
    pub isin: Option<Isin>,
    /// Its trading symbol.
    pub symbol: Symbol,
    /// Where it trades.
    pub exchange: Exchange,
    /// The series it trades in.
    pub series: Series,
    /// The smallest step of its price; without one it takes no orders.
    pub tick_size: Option<Price>,
    /// How far from the previous close it may trade.
    pub band_percent: Option<Percent>,
    /// The last price known.
    pub last_price: Option<Price>,
    /// When it traded; null for a day's close.
    pub last_at: Option<Timestamp>,
    /// The close before that.
    pub previous_close: Option<Price>,
}

/// A day's prices.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PriceAnswer {
    /// The day.
    pub date: Date,
    /// First.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// Official close.
    pub close: Price,
    /// As the exchange gave it.
    pub previous_close: Option<Price>,
    /// Shares traded.
    pub volume: Option<i64>,
}

/// A fund scheme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchemeAnswer {
    /// AMFI's code.
    pub scheme: SchemeCode,
    /// Its name.
    pub name: Box<str>,
    /// ISIN of growth or payout.
    pub isin_growth: Option<Isin>,
    /// ISIN of reinvestment.
    pub isin_reinvestment: Option<Isin>,
    /// The fund house.
    pub amc: Option<Box<str>>,
    /// AMFI's category.
    pub category: Option<Box<str>>,
    /// Direct or regular.
    pub plan: Option<Box<str>>,
    /// Growth or IDCW.
    pub option: Option<Box<str>>,
    /// The latest NAV.
    pub nav: Option<Nav>,
    /// Its day.
    pub nav_date: Option<Date>,
}

/// A day's NAV.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NavAnswer {
    /// The day.
    pub date: Date,
    /// Rupees a unit.
    pub nav: Nav,
}

/// A recorded day of an exchange's calendar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalendarAnswer {
    /// Whose.
    pub exchange: Exchange,
    /// The day.
    pub date: Date,
    /// Holiday or session.
    pub kind: DayKind,
    /// From when, where it is not the regular hour.
    pub open: Option<TimeOfDay>,
    /// To when, where it is not the regular hour.
    pub close: Option<TimeOfDay>,
    /// Whether cash and shares settle, where it is said.
    pub settlement: Option<bool>,
}

/// The market while it stands still.
///
/// Every answer is `Error::Stopped` when a view that it needs stopped.
pub struct MarketReading<'a> {
    instruments: RwLockReadGuard<'a, Instruments>,
    prices: RwLockReadGuard<'a, Prices>,
    navs: RwLockReadGuard<'a, Navs>,
    stops: Vec<Stop>,
}

impl<'a> MarketReading<'a> {
    pub(crate) fn new(
        instruments: RwLockReadGuard<'a, Instruments>,
        prices: RwLockReadGuard<'a, Prices>,
        navs: RwLockReadGuard<'a, Navs>,
        stops: Vec<Stop>,
    ) -> Self {
        Self { instruments, prices, navs, stops }
    }

    fn need(&self, views: &[View]) -> Result<(), Error> {
        views.iter().try_for_each(|view| Views::check(&self.stops, *view))
    }

    /// Instruments by id.
    pub fn instruments(&self, filter: &InstrumentFilter, page: &Page<'_>) -> Result<List<InstrumentAnswer>, Error> {
        self.need(&[View::Instruments, View::Prices])?;
        let after = page.key()?;
        let prefix = filter.prefix.as_deref();
        let rows = self.instruments.instruments.iter().filter(|(id, row)| {
            let latest = &row.latest;
            after.as_deref().is_none_or(|after| id.as_str() > after)
                && filter.exchange.is_none_or(|exchange| exchange == latest.exchange)
                && filter.isin.is_none_or(|isin| latest.isin == Some(isin))
                && prefix.is_none_or(|text| id.as_str().starts_with(text) || latest.symbol.as_str().starts_with(text))
        });
        let rows = rows.map(|(_, row)| self.instrument_answer(row));
        Ok(List::take(rows, page.limit(), |row| after_key(row.instrument.as_str())))
    }

    /// One instrument.
    pub fn instrument(&self, id: &InstrumentId) -> Result<Option<InstrumentAnswer>, Error> {
        self.need(&[View::Instruments, View::Prices])?;
        Ok(self.instruments.instruments.get(id).map(|row| self.instrument_answer(row)))
    }

    /// An instrument's prices by day, the latest first; `None` for one that is not listed.
    pub fn prices(
        &self,
        id: &InstrumentId,
        days: &DayFilter,
        page: &Page<'_>,
    ) -> Result<Option<List<PriceAnswer>>, Error> {
        self.need(&[View::Instruments, View::Prices])?;
        if !self.instruments.instruments.contains_key(id) {
            return Ok(None);
        }
        let before = page.number()?;
        let rows = self.prices.get(id).into_iter().flat_map(|row| row.days().rev());
        let rows = rows.filter(|day| days.holds(day.date) && earlier(day.date, before)).map(|day| PriceAnswer {
            date: day.date,
            open: day.open,
            high: day.high,
            low: day.low,
            close: day.close,
            previous_close: day.previous_close,
            volume: day.volume,
        });
        Ok(Some(List::take(rows, page.limit(), |day| after_number(number(day.date)))))
    }

    /// What one share of an instrument is worth now.
    pub fn quote(&self, id: &InstrumentId) -> Result<Quote, Error> {
        self.need(&[View::Prices])?;
        Ok(self.prices.quote(id))
    }

    /// Schemes by code.
    pub fn schemes(&self, filter: &SchemeFilter, page: &Page<'_>) -> Result<List<SchemeAnswer>, Error> {
        self.need(&[View::Navs])?;
        let after = page.key()?;
        let name = filter.name.as_deref().map(str::to_lowercase);
        let rows = self.navs.schemes.iter().filter_map(|(code, row)| Some((code, row, row.scheme.as_ref()?)));
        let rows = rows.filter(|(code, _, scheme)| {
            after.as_deref().is_none_or(|after| code.as_str() > after)
                && filter.amc.as_deref().is_none_or(|amc| scheme.amc.as_deref() == Some(amc))
                && filter.isin.is_none_or(|isin| [scheme.isin_growth, scheme.isin_reinvestment].contains(&Some(isin)))
                && name.as_deref().is_none_or(|name| scheme.name.to_lowercase().contains(name))
        });
        let rows = rows.map(|(_, row, scheme)| scheme_answer(scheme, row));
        Ok(List::take(rows, page.limit(), |row| after_key(row.scheme.as_str())))
    }

    /// One scheme.
    pub fn scheme(&self, code: &SchemeCode) -> Result<Option<SchemeAnswer>, Error> {
        self.need(&[View::Navs])?;
        let row = self.navs.schemes.get(code);
        Ok(row.and_then(|row| Some(scheme_answer(row.scheme.as_ref()?, row))))
    }

    /// A scheme's NAVs by day, the latest first; `None` for a scheme that is not known.
    pub fn navs(&self, code: &SchemeCode, days: &DayFilter, page: &Page<'_>) -> Result<Option<List<NavAnswer>>, Error> {
        self.need(&[View::Navs])?;
        let Some(row) = self.navs.schemes.get(code) else { return Ok(None) };
        let before = page.number()?;
        let rows = row.navs().rev().filter(|day| days.holds(day.date) && earlier(day.date, before));
        let rows = rows.map(|day| NavAnswer { date: day.date, nav: day.nav });
        Ok(Some(List::take(rows, page.limit(), |day| after_number(number(day.date)))))
    }

    /// Recorded calendar days by exchange and date; with an exchange named, only its own.
    pub fn calendar(
        &self,
        exchange: Option<&Exchange>,
        days: &DayFilter,
        page: &Page<'_>,
    ) -> Result<List<CalendarAnswer>, Error> {
        self.need(&[View::Instruments])?;
        let after = page.key()?;
        let rows = self.instruments.calendar.values().filter(|day| {
            exchange.is_none_or(|exchange| *exchange == day.exchange)
                && days.holds(day.date)
                && after.as_deref().is_none_or(|after| calendar_key(day.exchange, day.date).as_str() > after)
        });
        let rows = rows.map(|day: &CalendarDay| CalendarAnswer {
            exchange: day.exchange,
            date: day.date,
            kind: day.kind,
            open: day.open,
            close: day.close,
            settlement: day.settlement,
        });
        Ok(List::take(rows, page.limit(), |day| after_key(&calendar_key(day.exchange, day.date))))
    }

    fn instrument_answer(&self, row: &InstrumentRow) -> InstrumentAnswer {
        let latest = &row.latest;
        let prices = self.prices.get(&latest.instrument);
        let quote = prices.map(PriceRow::quote).unwrap_or_default();
        let live = prices.and_then(PriceRow::live).filter(|live| Some(live.last) == quote.last);
        InstrumentAnswer {
            instrument: latest.instrument,
            isin: latest.isin,
            symbol: latest.symbol,
            exchange: latest.exchange,
            series: latest.series,
            tick_size: latest.tick_size,
            band_percent: latest.band_percent,
            last_price: quote.last,
            last_at: live.map(|live| live.at),
            previous_close: quote.previous_close,
        }
    }
}

fn scheme_answer(scheme: &Scheme, row: &SchemeRow) -> SchemeAnswer {
    let latest = row.latest();
    SchemeAnswer {
        scheme: scheme.scheme,
        name: scheme.name.clone(),
        isin_growth: scheme.isin_growth,
        isin_reinvestment: scheme.isin_reinvestment,
        amc: scheme.amc.clone(),
        category: scheme.category.clone(),
        plan: scheme.plan.clone(),
        option: scheme.option.clone(),
        nav: latest.map(|latest| latest.nav),
        nav_date: latest.map(|latest| latest.date),
    }
}

fn calendar_key(exchange: Exchange, date: Date) -> String {
    // A space sorts before every letter, as the end of a text does.
    format!("{exchange} {date}")
}

/// A day as a cursor holds it: days since 1900.
fn number(date: Date) -> u64 {
    const DAYS_FROM_1900_TO_1970: i64 = 25_567;
    u64::try_from(i64::from(date.days_since_epoch()) + DAYS_FROM_1900_TO_1970).unwrap_or_default()
}

fn earlier(date: Date, before: Option<u64>) -> bool {
    before.is_none_or(|before| number(date) < before)
}
