//! Facts about the market: instruments, prices, schemes, NAVs, calendar days; folded purely, and refused where they contradict.

use crate::{
    calendar::{Calendar, Day, REGULAR_CLOSE, REGULAR_OPEN},
    ids::{Exchange, InstrumentId, Isin, SchemeCode, Series, Symbol},
    money::{Nav, Percent, Price, Rounding},
    rejection::{CommandRefused, Refusal, Rejection},
    time::{Date, TimeOfDay, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

pub mod parts;

/// What an instrument is from a date on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// Its id.
    pub instrument: InstrumentId,
    /// Its ISIN, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isin: Option<Isin>,
    /// Its trading symbol.
    pub symbol: Symbol,
    /// Where it trades.
    pub exchange: Exchange,
    /// The series it trades in.
    pub series: Series,
    /// The smallest step of its price; without one it takes no orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick_size: Option<Price>,
    /// How far from the previous close it may trade; absent without a band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band_percent: Option<Percent>,
    /// From when this holds, where a file's date says so; such a fact adds an alias and never takes a tick size or band away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The earlier fact about this key, by `seq`, that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// A day's prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayPrice {
    /// Of what.
    pub instrument: InstrumentId,
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
    /// As the exchange gave it; not adjusted on an ex-date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_close: Option<Price>,
    /// Shares traded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<i64>,
    /// The earlier fact about this key, by `seq`, that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// A live price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastPrice {
    /// Of what.
    pub instrument: InstrumentId,
    /// The last traded price.
    pub last: Price,
    /// When it traded.
    pub at: Timestamp,
}

/// A fund scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// AMFI's code.
    pub scheme: SchemeCode,
    /// Its name, at most 200 characters.
    pub name: Box<str>,
    /// ISIN of growth or payout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isin_growth: Option<Isin>,
    /// ISIN of reinvestment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isin_reinvestment: Option<Isin>,
    /// The fund house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amc: Option<Box<str>>,
    /// AMFI's category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Box<str>>,
    /// Direct or regular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<str>>,
    /// Growth or IDCW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<Box<str>>,
    /// The earlier fact about this key, by `seq`, that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// A scheme's NAV of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayNav {
    /// Of which scheme.
    pub scheme: SchemeCode,
    /// The day.
    pub date: Date,
    /// Rupees a unit.
    pub nav: Nav,
    /// The earlier fact about this key, by `seq`, that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// Holiday or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// Closed.
    Holiday,
    /// Open.
    Session,
}

/// A day of an exchange's calendar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarDay {
    /// Whose.
    pub exchange: Exchange,
    /// The day.
    pub date: Date,
    /// Holiday or session.
    pub kind: DayKind,
    /// For a session: from when; 09:15 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<TimeOfDay>,
    /// For a session: to when; 15:30 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<TimeOfDay>,
    /// Whether cash and shares settle; unless given, on a weekday's session only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<bool>,
    /// The earlier fact about this key, by `seq`, that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

impl CalendarDay {
    fn day(&self) -> Day {
        match self.kind {
            DayKind::Holiday => Day::Holiday { settlement: self.settlement.unwrap_or(false) },
            DayKind::Session => Day::Session {
                open: self.open.unwrap_or(REGULAR_OPEN),
                close: self.close.unwrap_or(REGULAR_CLOSE),
                settlement: self.settlement.unwrap_or(!self.date.is_weekend()),
            },
        }
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident($payload:ty): $command:literal v $cv:literal => $event:literal v $ev:literal,)*) => {
        /// A fact observed; as a command it asks to be recorded.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Fact { $($(#[$doc])* $variant($payload),)* }

        /// What was recorded.
        #[derive(Clone, Debug, PartialEq)]
        pub enum MarketEventData { $($(#[$doc])* $variant($payload),)* /** A fact was refused. */ CommandRefused(CommandRefused), }

        impl Fact {
            /// Name and current version of every command kind.
            pub const KINDS: &[(&'static str, u32)] = &[$(($command, $cv),)*];
            /// The stored name of the command.
            pub fn kind(&self) -> &'static str { match self { $(Self::$variant(_) => $command,)* } }
            /// The version written now.
            pub fn version(&self) -> u32 { match self { $(Self::$variant(_) => $cv,)* } }
            /// Writes the body alone.
            ///
            /// # Errors
            /// Whatever the serializer says.
            pub fn serialize_body<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(body) => serde::Serialize::serialize(body, serializer),)* }
            }
            /// Reads the body of a kind in its current version; `None` for a name that is not in the list.
            ///
            /// # Errors
            /// Whatever the deserializer says, within `Some`.
            pub fn deserialize_body<'de, D: serde::Deserializer<'de>>(kind: &str, deserializer: D) -> Option<Result<Self, D::Error>> {
                match kind {
                    $($command => Some(<$payload as serde::Deserialize>::deserialize(deserializer).map(Self::$variant)),)*
                    _ => None,
                }
            }
            fn recorded(self) -> MarketEventData { match self { $(Self::$variant(body) => MarketEventData::$variant(body),)* } }
        }
        $(impl From<$payload> for Fact { fn from(body: $payload) -> Self { Self::$variant(body) } })*

        impl MarketEventData {
            /// Name and current version of every event type.
            pub const TYPES: &[(&'static str, u32)] = &[$(($event, $ev),)* ("command_refused", 1)];
            /// The stored name.
            pub fn type_name(&self) -> &'static str { match self { $(Self::$variant(_) => $event,)* Self::CommandRefused(_) => "command_refused" } }
            /// The version written now.
            pub fn version(&self) -> u32 { match self { $(Self::$variant(_) => $ev,)* Self::CommandRefused(_) => 1 } }
            /// Writes the payload alone.
            ///
            /// # Errors
            /// Whatever the serializer says.
            pub fn serialize_payload<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(payload) => serde::Serialize::serialize(payload, serializer),)*
                    Self::CommandRefused(payload) => serde::Serialize::serialize(payload, serializer),
                }
            }
            /// Reads the payload of a type in its current version; `None` for a name that is not in the list.
            ///
            /// # Errors
            /// Whatever the deserializer says, within `Some`.
            pub fn deserialize_payload<'de, D: serde::Deserializer<'de>>(name: &str, deserializer: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $($event => Some(<$payload as serde::Deserialize>::deserialize(deserializer).map(Self::$variant)),)*
                    "command_refused" => Some(CommandRefused::deserialize(deserializer).map(Self::CommandRefused)),
                    _ => None,
                }
            }
        }
    };
}

facts! {
    /// An instrument is listed, or is something else from a date on.
    Instrument(Instrument): "list_instrument" v 1 => "instrument_listed" v 1,
    /// A day's prices.
    Price(DayPrice): "record_price" v 1 => "price_recorded" v 1,
    /// A live price.
    Last(LastPrice): "record_last_price" v 1 => "last_price_recorded" v 1,
    /// A scheme exists.
    Scheme(Scheme): "list_scheme" v 1 => "scheme_listed" v 1,
    /// A NAV.
    Nav(DayNav): "record_nav" v 1 => "nav_recorded" v 1,
    /// A calendar day.
    Calendar(CalendarDay): "record_calendar_day" v 1 => "calendar_day_recorded" v 1,
}

impl Fact {
    /// What the fact is about, the key of its entry: an instrument, a scheme, `calendar/NSE`.
    pub fn key(&self) -> Box<str> {
        match self {
            Self::Instrument(fact) => fact.instrument.as_str().into(),
            Self::Price(fact) => fact.instrument.as_str().into(),
            Self::Last(fact) => fact.instrument.as_str().into(),
            Self::Scheme(fact) => fact.scheme.as_str().into(),
            Self::Nav(fact) => fact.scheme.as_str().into(),
            Self::Calendar(fact) => format!("calendar/{}", fact.exchange).into(),
        }
    }
}

/// One thing recorded about the market.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketEvent {
    /// When it happened in the world.
    pub effective_at: Timestamp,
    /// What.
    pub data: MarketEventData,
}

/// An instrument as deciding must remember it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The latest listing, with what earlier ones said and it does not.
    pub instrument: Instrument,
    /// All listings by the date from which they hold (`None` first: undated).
    pub aliases: BTreeMap<Option<Date>, Instrument>,
    /// Prices by day.
    pub prices: BTreeMap<Date, DayPrice>,
    /// The latest live price.
    pub last: Option<(Price, Timestamp)>,
}

impl Listing {
    /// The close of the latest recorded day before one.
    pub fn close_before(&self, date: Date) -> Option<Price> {
        self.prices.range(..date).next_back().map(|(_, price)| price.close)
    }
    /// The last price known: the live one, unless a later day's close is recorded.
    pub fn last_price(&self) -> Option<Price> {
        match (self.last, self.prices.last_key_value()) {
            (Some((last, at)), Some((date, _))) if at.date() >= *date => Some(last),
            (Some((last, _)), None) => Some(last),
            (_, Some((_, price))) => Some(price.close),
            (None, None) => None,
        }
    }
    /// Lowest and highest price allowed in a session: the previous close and the band, inward to the tick.
    pub fn band(&self, session_date: Date) -> Option<(Price, Price)> {
        let (percent, close) = (self.instrument.band_percent?, self.close_before(session_date)?);
        let tick = self.instrument.tick_size.unwrap_or(Price::from_smallest(1));
        let reach = percent.of_price(close, Rounding::Down)?;
        Some(((close - reach).to_tick(tick, Rounding::Up), (close + reach).to_tick(tick, Rounding::Down)))
    }
}

/// A scheme as deciding must remember it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemeState {
    /// What it is; absent while only NAVs are known.
    pub scheme: Option<Scheme>,
    /// NAVs by day.
    pub navs: BTreeMap<Date, Nav>,
}

/// All market facts, folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Market {
    /// Instruments by id.
    pub instruments: HashMap<InstrumentId, Listing>,
    /// Schemes by code.
    pub schemes: HashMap<SchemeCode, SchemeState>,
    /// The calendar.
    pub calendar: Calendar,
    /// Entries so far by key: the next one's `seq` is one more.
    pub seqs: HashMap<Box<str>, u64>,
}

/// The market after an event.
pub fn evolve(mut market: Market, event: &MarketEvent) -> Market {
    match &event.data {
        MarketEventData::Instrument(fact) => {
            let listing = market.instruments.entry(fact.instrument).or_insert_with(|| Listing {
                instrument: fact.clone(),
                aliases: BTreeMap::new(),
                prices: BTreeMap::new(),
                last: None,
            });
            listing.aliases.insert(fact.from, fact.clone());
            listing.instrument = latest(&listing.aliases).unwrap_or_else(|| fact.clone());
        }
        MarketEventData::Price(fact) => {
            if let Some(listing) = market.instruments.get_mut(&fact.instrument) {
                listing.prices.insert(fact.date, fact.clone());
            }
        }
        MarketEventData::Last(fact) => {
            if let Some(listing) = market.instruments.get_mut(&fact.instrument)
                && listing.last.is_none_or(|(_, at)| at <= fact.at)
            {
                listing.last = Some((fact.last, fact.at));
            }
        }
        MarketEventData::Scheme(fact) => market.schemes.entry(fact.scheme).or_default().scheme = Some(fact.clone()),
        MarketEventData::Nav(fact) => {
            market.schemes.entry(fact.scheme).or_default().navs.insert(fact.date, fact.nav);
        }
        MarketEventData::Calendar(fact) => market.calendar.record(fact.exchange, fact.date, fact.day()),
        MarketEventData::CommandRefused(_) => {}
    }
    market
}

/// The latest of an instrument's listings, with what earlier ones said and it does not.
fn latest(aliases: &BTreeMap<Option<Date>, Instrument>) -> Option<Instrument> {
    let mut latest = aliases.last_key_value()?.1.clone();
    // A file's dated alias knows no tick and no band: it never takes away what an operator listed.
    if let Some(undated) = aliases.get(&None).cloned() {
        latest.isin = latest.isin.or(undated.isin);
        latest.tick_size = latest.tick_size.or(undated.tick_size);
        latest.band_percent = latest.band_percent.or(undated.band_percent);
    }
    Some(latest)
}

/// What recording a fact now gives: the fact, or its refusal as a repeat, a contradiction or nonsense.
pub fn decide(market: &Market, fact: &Fact, now: Timestamp) -> MarketEvent {
    match check(market, fact) {
        Ok(()) => MarketEvent { effective_at: effective_at(fact, now), data: fact.clone().recorded() },
        Err(refusal) => MarketEvent { effective_at: now, data: MarketEventData::CommandRefused(refusal.into()) },
    }
}

fn effective_at(fact: &Fact, now: Timestamp) -> Timestamp {
    match fact {
        Fact::Instrument(fact) => fact.from.map_or(now, Date::start),
        Fact::Price(fact) => fact.date.at(REGULAR_CLOSE),
        Fact::Last(fact) => fact.at,
        Fact::Scheme(_) => now,
        Fact::Nav(fact) => fact.date.at(TimeOfDay::END_OF_DAY),
        Fact::Calendar(fact) => fact.date.start(),
    }
}

fn check(market: &Market, fact: &Fact) -> Result<(), Refusal> {
    match fact {
        Fact::Instrument(fact) => {
            if fact.tick_size.is_some_and(|tick| !tick.is_positive())
                || fact.band_percent.is_some_and(|band| !band.is_positive() || band > Percent::whole(100))
                || fact.instrument.exchange().is_some_and(|exchange| exchange != fact.exchange)
            {
                return Err(Rejection::FactInconsistent.with("instrument", fact.instrument));
            }
            let earlier = market.instruments.get(&fact.instrument).and_then(|listing| listing.aliases.get(&fact.from));
            let plain = Instrument { corrects: None, ..fact.clone() };
            known(
                market,
                fact.instrument.as_str(),
                fact.corrects,
                earlier.map(|earlier| Instrument { corrects: None, ..earlier.clone() } == plain),
            )
        }
        Fact::Price(fact) => {
            let listing = market
                .instruments
                .get(&fact.instrument)
                .ok_or_else(|| Rejection::UnknownInstrument.with("instrument", fact.instrument))?;
            if !fact.low.is_positive()
                || fact.low > fact.high
                || [fact.open, fact.close].iter().any(|price| *price < fact.low || *price > fact.high)
                    && !odd_close(fact)
                || fact.volume.is_some_and(|volume| volume < 0)
                || fact.previous_close.is_some_and(Price::is_negative)
            {
                return Err(Rejection::FactInconsistent.with("instrument", fact.instrument).with("date", fact.date));
            }
            let plain = DayPrice { corrects: None, ..fact.clone() };
            let earlier = listing.prices.get(&fact.date);
            known(
                market,
                fact.instrument.as_str(),
                fact.corrects,
                earlier.map(|earlier| DayPrice { corrects: None, ..earlier.clone() } == plain),
            )
        }
        Fact::Last(fact) => {
            if !fact.last.is_positive() {
                return Err(Rejection::PriceNotPositive.with("last", fact.last));
            }
            let listing = market
                .instruments
                .get(&fact.instrument)
                .ok_or_else(|| Rejection::UnknownInstrument.with("instrument", fact.instrument))?;
            if listing.last == Some((fact.last, fact.at)) {
                return Err(Rejection::FactRepeated.with("instrument", fact.instrument).with("at", fact.at));
            }
            Ok(())
        }
        Fact::Scheme(fact) => {
            let plain = Scheme { corrects: None, ..fact.clone() };
            let earlier = market.schemes.get(&fact.scheme).and_then(|state| state.scheme.as_ref());
            known(
                market,
                fact.scheme.as_str(),
                fact.corrects,
                earlier.map(|earlier| Scheme { corrects: None, ..earlier.clone() } == plain),
            )
        }
        Fact::Nav(fact) => {
            let state = market.schemes.get(&fact.scheme).filter(|state| state.scheme.is_some());
            let state = state.ok_or_else(|| Rejection::UnknownScheme.with("scheme", fact.scheme))?;
            if fact.nav.is_negative() {
                return Err(Rejection::FactInconsistent.with("nav", fact.nav));
            }
            known(market, fact.scheme.as_str(), fact.corrects, state.navs.get(&fact.date).map(|nav| *nav == fact.nav))
        }
        Fact::Calendar(fact) => {
            if fact.kind == DayKind::Holiday && (fact.open.is_some() || fact.close.is_some())
                || fact.open.unwrap_or(REGULAR_OPEN) >= fact.close.unwrap_or(REGULAR_CLOSE)
            {
                return Err(Rejection::FactInconsistent.with("exchange", fact.exchange).with("date", fact.date));
            }
            let earlier = market.calendar.recorded(fact.exchange, fact.date);
            known(
                market,
                &format!("calendar/{}", fact.exchange),
                fact.corrects,
                earlier.map(|earlier| earlier == fact.day()),
            )
        }
    }
}

/// An official close may lie outside the day's traded range (it is an average, or another exchange's); an open may not.
fn odd_close(fact: &DayPrice) -> bool {
    fact.open >= fact.low && fact.open <= fact.high && fact.close.is_positive()
}

/// Refuses a repeat, and a contradiction that does not name an earlier fact about the key.
fn known(market: &Market, key: &str, corrects: Option<u64>, earlier_is_equal: Option<bool>) -> Result<(), Refusal> {
    match (earlier_is_equal, corrects) {
        (Some(true), _) => Err(Rejection::FactRepeated.with("key", key)),
        (_, Some(seq)) if seq == 0 || market.seqs.get(key).is_none_or(|last| seq > *last) => {
            Err(Rejection::UnknownFact.with("corrects", seq))
        }
        (Some(false), None) => {
            // What a correction may name: the key's latest entry.
            let latest = market.seqs.get(key).copied().unwrap_or_default();
            Err(Rejection::FactContradicted.with("key", key).with("latest", latest))
        }
        (Some(false), Some(_)) | (None, None) => Ok(()),
        (None, Some(seq)) => Err(Rejection::UnknownFact.with("corrects", seq)),
    }
}
