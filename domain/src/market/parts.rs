//! A market in parts, so that a snapshot can add those that changed: of each key what it is, and for each month what is
//! dated about it. A live price so writes no history, and a day's prices only those of its month.
//!
//! Knows no store and no bytes.

use super::{DayPrice, Instrument, Listing, Market, MarketEvent, MarketEventData, Scheme, latest};
use crate::{
    calendar::Day,
    ids::{Exchange, InstrumentId, Isin, SchemeCode, Series, Symbol},
    money::{Nav, Percent, Price},
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Rises when the shape of a [`Part`] changes, or what folding a fact makes: a snapshot of another shape is not read.
pub const SHAPE: u32 = 1;

/// How the keys of an exchange's calendar begin.
const CALENDAR: &str = "calendar/";

/// A month of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Month {
    year: i32,
    month: u8,
}

impl Month {
    /// That of a day.
    pub fn of(date: Date) -> Self {
        let (year, month, _) = date.ymd();
        Self { year, month }
    }

    /// That of what an event says of a day; none if it is about no day.
    pub fn of_event(event: &MarketEvent) -> Option<Self> {
        match &event.data {
            MarketEventData::Price(fact) => Some(Self::of(fact.date)),
            MarketEventData::Nav(fact) => Some(Self::of(fact.date)),
            MarketEventData::Calendar(fact) => Some(Self::of(fact.date)),
            MarketEventData::Instrument(_)
            | MarketEventData::Last(_)
            | MarketEventData::Scheme(_)
            | MarketEventData::CommandRefused(_) => None,
        }
    }

    fn days(self) -> impl std::ops::RangeBounds<Date> {
        let first = |year, month| Date::from_ymd(year, month, 1);
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        let from = first(self.year, self.month).map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        (from, first(year, month).map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded))
    }
}

/// Which part: what a key is, or what is dated about it within a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The key, as entries have it.
    pub key: Box<str>,
    /// The month; absent for what the key is.
    pub month: Option<Month>,
}

/// What a key is comes first, then all that is dated about it, and then any other key: `NSE:M`, `NSE:M 2026-11`, `NSE:M&M`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match self.month {
            Some(Month { year, month }) => write!(f, " {year:04}-{month:02}"),
            None => Ok(()),
        }
    }
}

/// A part of a market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub name: Name,
    held: Held,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Held {
    /// What a key is; one known by its ISIN alone may be both an instrument and a scheme.
    Is {
        seq: u64,
        listing: Option<Listed>,
        /// Whether there are NAVs or a listing, and the listing.
        scheme: Option<Option<Fund>>,
    },
    Dated {
        prices: Vec<Dated>,
        navs: Vec<(Date, Nav)>,
        days: Vec<(Date, Day)>,
    },
}

/// All listings of an instrument, and its live price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Listed {
    aliases: Vec<Alias>,
    last: Option<(Price, Timestamp)>,
}

/// An [`Instrument`] without its id, each field there: a form that only machines read leaves none out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Alias {
    isin: Option<Isin>,
    symbol: Symbol,
    exchange: Exchange,
    series: Series,
    tick_size: Option<Price>,
    band_percent: Option<Percent>,
    from: Option<Date>,
    corrects: Option<u64>,
}

/// A [`Scheme`] without its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fund {
    name: Box<str>,
    isin_growth: Option<Isin>,
    isin_reinvestment: Option<Isin>,
    amc: Option<Box<str>>,
    category: Option<Box<str>>,
    plan: Option<Box<str>>,
    option: Option<Box<str>>,
    corrects: Option<u64>,
}

/// A [`DayPrice`] without its instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Dated {
    date: Date,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    previous_close: Option<Price>,
    volume: Option<i64>,
    corrects: Option<u64>,
}

impl Market {
    /// A part as it is now.
    pub fn part(&self, name: Name) -> Part {
        let key = &*name.key;
        let listing = InstrumentId::new(key).ok().and_then(|id| self.instruments.get(&id));
        let scheme = SchemeCode::new(key).ok().and_then(|code| self.schemes.get(&code));
        let held = match name.month {
            None => Held::Is {
                seq: self.seqs.get(key).copied().unwrap_or_default(),
                listing: listing.map(Listed::of),
                scheme: scheme.map(|state| state.scheme.as_ref().map(Fund::of)),
            },
            Some(month) => {
                let prices = listing.map(|listing| listing.prices.range(month.days()).map(|(_, price)| price));
                let navs = scheme.map(|state| state.navs.range(month.days()).map(|(date, nav)| (*date, *nav)));
                let exchange = exchange_of(key).into_iter();
                let days = exchange.flat_map(|exchange| self.calendar.recorded_within(exchange, month.days()));
                Held::Dated {
                    prices: prices.into_iter().flatten().map(Dated::of).collect(),
                    navs: navs.into_iter().flatten().collect(),
                    days: days.collect(),
                }
            }
        };
        Part { name, held }
    }

    /// Takes in a part; what a key is before what is dated about it.
    ///
    /// # Errors
    /// In words, when it is of no market.
    pub fn take_in(&mut self, part: Part) -> Result<(), &'static str> {
        let key = part.name.key;
        let (instrument, scheme) = (InstrumentId::new(&key).ok(), SchemeCode::new(&key).ok());
        match part.held {
            Held::Is { seq, listing, scheme: fund } => {
                if let Some(listed) = listing {
                    let instrument = instrument.ok_or("a listing of no instrument")?;
                    let listing = listed.into_listing(instrument).ok_or("a listing that says nothing")?;
                    self.instruments.insert(instrument, listing);
                }
                if let Some(fund) = fund {
                    let scheme = scheme.ok_or("a listing of no scheme")?;
                    self.schemes.entry(scheme).or_default().scheme = fund.map(|fund| fund.into_scheme(scheme));
                }
                self.seqs.insert(key, seq);
            }
            Held::Dated { prices, navs, days } => {
                // Without a listing they were saved after it was, while parts were read, and are folded again.
                if let Some(instrument) = instrument
                    && let Some(listing) = self.instruments.get_mut(&instrument)
                {
                    listing.prices.extend(prices.into_iter().map(|price| (price.date, price.into_price(instrument))));
                }
                if let Some(state) = scheme.and_then(|scheme| self.schemes.get_mut(&scheme)) {
                    state.navs.extend(navs);
                }
                for (date, day) in days {
                    self.calendar.record(exchange_of(&key).ok_or("days of no exchange")?, date, day);
                }
            }
        }
        Ok(())
    }

    /// Takes in a market about other keys.
    pub fn absorb(&mut self, other: Self) {
        self.instruments.extend(other.instruments);
        self.schemes.extend(other.schemes);
        self.seqs.extend(other.seqs);
        other.calendar.iter().for_each(|(exchange, date, day)| self.calendar.record(exchange, date, day));
    }
}

fn exchange_of(key: &str) -> Option<Exchange> {
    Exchange::new(key.strip_prefix(CALENDAR)?).ok()
}

impl Listed {
    fn of(listing: &Listing) -> Self {
        Self { aliases: listing.aliases.values().map(Alias::of).collect(), last: listing.last }
    }

    fn into_listing(self, id: InstrumentId) -> Option<Listing> {
        let aliases = self.aliases.into_iter().map(|alias| (alias.from, alias.into_instrument(id))).collect();
        let instrument = latest(&aliases)?;
        Some(Listing { instrument, aliases, prices: Default::default(), last: self.last })
    }
}

impl Alias {
    fn of(instrument: &Instrument) -> Self {
        let Instrument { instrument: _, isin, symbol, exchange, series, tick_size, band_percent, from, corrects } =
            instrument.clone();
        Self { isin, symbol, exchange, series, tick_size, band_percent, from, corrects }
    }

    fn into_instrument(self, instrument: InstrumentId) -> Instrument {
        let Self { isin, symbol, exchange, series, tick_size, band_percent, from, corrects } = self;
        Instrument { instrument, isin, symbol, exchange, series, tick_size, band_percent, from, corrects }
    }
}

impl Fund {
    fn of(scheme: &Scheme) -> Self {
        let Scheme { scheme: _, name, isin_growth, isin_reinvestment, amc, category, plan, option, corrects } =
            scheme.clone();
        Self { name, isin_growth, isin_reinvestment, amc, category, plan, option, corrects }
    }

    fn into_scheme(self, scheme: SchemeCode) -> Scheme {
        let Self { name, isin_growth, isin_reinvestment, amc, category, plan, option, corrects } = self;
        Scheme { scheme, name, isin_growth, isin_reinvestment, amc, category, plan, option, corrects }
    }
}

impl Dated {
    fn of(price: &DayPrice) -> Self {
        let DayPrice { instrument: _, date, open, high, low, close, previous_close, volume, corrects } = price.clone();
        Self { date, open, high, low, close, previous_close, volume, corrects }
    }

    fn into_price(self, instrument: InstrumentId) -> DayPrice {
        let Self { date, open, high, low, close, previous_close, volume, corrects } = self;
        DayPrice { instrument, date, open, high, low, close, previous_close, volume, corrects }
    }
}
